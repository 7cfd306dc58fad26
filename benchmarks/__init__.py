"""Benchmarks: each against a peer or a limit, a ratio in one run."""
