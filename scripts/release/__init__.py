"""What a release is made of, published by one tag; and its rehearsal on this machine."""
