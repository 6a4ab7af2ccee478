"""Exchanges: how the copies over one mesh axis agree."""
