"""Consistency: what the copies exchange, and when; a file a rule."""
