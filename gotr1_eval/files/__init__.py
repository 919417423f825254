"""Files that other people wrote: tables as they come, and the prompts in them. No torch, no pandas."""
