"""The verbs: their names, options and help. What each does is in `commands`."""
