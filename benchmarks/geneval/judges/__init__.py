"""GenEval's official verdict as a judge."""
