"""What the benchmarks share: data, measuring, HTTP load, a service in a process of its own."""
