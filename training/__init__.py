"""From closed deals to a registered, measured model; and lists of leads scored with it."""
