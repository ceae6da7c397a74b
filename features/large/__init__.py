"""Leads with very many activities: the same values, computed on arrays."""
