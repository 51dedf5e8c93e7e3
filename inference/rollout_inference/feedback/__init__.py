"""Labels: which prediction they belong to, and what they count."""
