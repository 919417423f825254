"""How the shipped tiny checkpoints of the shapes world are made; no other training imports this."""
