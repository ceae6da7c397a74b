"""What only hindsight knows: columns and values that are written when a deal ends."""
