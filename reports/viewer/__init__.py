"""All runs of a folder in one place: what is there, how far it is, and its samples, found and laid side by side."""
