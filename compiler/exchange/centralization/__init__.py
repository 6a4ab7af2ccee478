"""Centralization: who talks to whom; a file a mixer."""
