"""Cut every answer at every byte, and go on with it."""
