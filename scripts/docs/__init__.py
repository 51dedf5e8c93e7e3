"""What of the documents is made and not written: the API reference, the schema for editors, the
pictures.
"""
