"""Leaves: each brings this library together with one other, and is imported by its own name."""
