"""OneIG-Bench's alignment and text, each a column of its own."""
