"""What `scripts/bench` measures: one module a table, and the few things that all of them share."""
