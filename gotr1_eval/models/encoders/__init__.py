"""Encoders of pictures and texts, one adapter a file."""
