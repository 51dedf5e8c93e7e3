"""The HTTP API: protocols, routes and their description."""
