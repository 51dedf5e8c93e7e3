"""What clients speak. Each reads a body into checked rows, and writes predictions, or what is
wrong, as its clients expect.
"""
