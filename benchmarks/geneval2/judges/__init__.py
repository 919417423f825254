"""GenEval 2's own judge."""
