"""Benchmarks: what things cost, measured on the machine at hand. `make bench` runs them; no test depends on a time."""
