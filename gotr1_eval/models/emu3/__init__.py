"""Emu3 by its parts: reading a checkpoint, laying out a sequence, sampling."""
