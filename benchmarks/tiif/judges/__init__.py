"""TIIF-Bench's judge."""
