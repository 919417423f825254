"""Judges, one file each, and the totals that combine them. No torch: models come in by argument."""
