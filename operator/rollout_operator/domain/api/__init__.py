"""What crosses the API: the resource's spec and status, its words and its names."""
