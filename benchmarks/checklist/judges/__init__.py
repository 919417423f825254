"""The judge that asks any prompt its own questions."""
