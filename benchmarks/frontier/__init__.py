"""Diamond against PyTorch over thin links: one model, one data set, equal starts."""
