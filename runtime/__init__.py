"""The runtime: models, data, the loop, checkpoints, engines, the command."""
