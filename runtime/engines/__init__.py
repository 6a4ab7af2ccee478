"""The engines: what runs a scheme."""
