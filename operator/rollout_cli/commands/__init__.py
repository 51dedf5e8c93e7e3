"""What the commands do: read the cluster, hand over to what is pure, print."""
