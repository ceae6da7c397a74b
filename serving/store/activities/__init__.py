"""The activities in the store: rows, and for leads with very many of them blocks."""
