"""What `scripts/record` records: the folder `cassettes`, against the simulated provider on loopback."""
