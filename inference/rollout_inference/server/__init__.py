"""How bytes become requests: uvicorn, and what bends it."""
