"""Outer steps: what the copies do when they meet; a file a step."""
