"""One attempt as a page or as JSON."""
