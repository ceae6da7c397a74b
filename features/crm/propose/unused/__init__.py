"""Tables of an export that cannot be used as they are, with the reason."""
