"""The language: from text to a scheme, and back."""
