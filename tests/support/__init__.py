"""What tests share: one API client, one fake kubelet, one scripted world, one operator process.

Nothing here is a test, and nothing anywhere imports from a test.
"""
