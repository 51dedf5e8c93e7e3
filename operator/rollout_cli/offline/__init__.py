"""What needs no cluster: checks of manifests, and simulation."""
