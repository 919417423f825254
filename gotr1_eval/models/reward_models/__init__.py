"""Reward models: ratings of pictures for their prompts, one adapter a file."""
