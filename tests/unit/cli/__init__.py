"""The command line tool, without a cluster."""
