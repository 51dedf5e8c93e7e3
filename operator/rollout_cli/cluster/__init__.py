"""What is read from a cluster, and written to it."""
