"""Leaves: each brings the front door and one foreign library together; nothing in the library imports them."""
