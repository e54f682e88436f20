"""Many streams against a provider that fails at random."""
