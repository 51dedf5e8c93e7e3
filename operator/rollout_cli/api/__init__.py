"""What is known of a cluster, as values, and what may be asked of it, as protocols. No client."""
