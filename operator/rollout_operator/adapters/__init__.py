"""Clients of what is outside; their exceptions end here."""
