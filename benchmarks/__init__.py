"""Benchmarks: ratios of interleaved runs, printed by `make bench`."""
