"""The shapes world's own judges: what elsewhere asks a language-vision model is computed here."""
