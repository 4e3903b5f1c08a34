"""Releases of the benchmark: synthesis, import, checks and sharing."""
