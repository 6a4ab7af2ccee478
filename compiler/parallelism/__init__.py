"""Parallelism: how one copy of a model is cut up over mesh axes; a file a strategy."""
