"""Runs side by side: what differs, and whether that is more than noise."""
