"""Labels of files, sent to a model server in batches: for the program of its image, and for
`kubectl modelrollout feedback`. It imports nothing but the standard library.
"""
