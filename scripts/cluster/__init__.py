"""A cluster for the demo and the tests: a given one, kind, or one built on the spot on Linux as
root. Standard library only.
"""
