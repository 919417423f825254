"""TIIF-Bench: verdict files of its scripts, read and added up as they do."""
