"""How light may a judge be: several judges on the same items, what they agree on and what they cost."""
