"""Connections of their own for each service that is asked."""

import aiohttp


def http_session() -> aiohttp.ClientSession:
    """A pool of connections; to be made in a running loop, and closed."""
    return aiohttp.ClientSession()
