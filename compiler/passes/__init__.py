"""Passes: plan in, plan out; a file a pass."""
