"""How it looks on a terminal."""
