"""`promote-to`: what was promoted in one cluster, asked for in another one's Git repository."""
