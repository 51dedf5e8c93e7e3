"""Clients of other servers, unmodified, in environments of their own: `make test-clients`."""
