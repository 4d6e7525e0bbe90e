"""Benchmarks: run by hand with `python -m tests.benchmarks`, never as timed tests."""
