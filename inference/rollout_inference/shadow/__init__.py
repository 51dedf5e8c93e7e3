"""Copies of requests for a candidate, whose answers are compared and given to nobody."""
