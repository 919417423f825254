"""Runs: what is asked of one."""
