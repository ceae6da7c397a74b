"""The service: what it answers, what it takes in, and what it remembers."""
