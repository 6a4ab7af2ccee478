"""A compiler for training schemes."""
