"""Measures the performance that Hotlead promises, one command each: `python -m benchmarks.NAME`."""
