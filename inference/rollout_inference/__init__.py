"""The model server: loads one pinned model, verifies it, and answers predict requests."""
