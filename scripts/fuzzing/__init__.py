"""What `scripts/fuzz` does: inputs that somebody broke, cut anywhere, into everything that reads the network.

Each input gives a value or an error of the closed list, whole as well as in pieces, and the same in both.
"""
