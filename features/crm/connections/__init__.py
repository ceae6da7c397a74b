"""Connections to databases: their URLs, passwords and drivers, and one class for each way to ask."""
