"""How a lead gets its score, and how good scores are."""
