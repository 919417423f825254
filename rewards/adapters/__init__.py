"""Our rewards in other people's trainers, one file each. Nothing of theirs is imported."""
