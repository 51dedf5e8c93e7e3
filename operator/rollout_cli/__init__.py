"""The command line tool: `kubectl-modelrollout`,
which kubectl also runs as `kubectl modelrollout`.
"""
