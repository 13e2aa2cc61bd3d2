"""Benchmarks: each measures a limit in the same run and prints the ratio."""
