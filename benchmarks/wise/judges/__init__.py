"""WISE's judges, one a protocol."""
