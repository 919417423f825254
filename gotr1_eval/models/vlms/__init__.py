"""Language-vision models, one adapter a file."""
