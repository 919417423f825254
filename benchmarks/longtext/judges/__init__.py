"""LongText-Bench's text accuracy."""
