"""Pages of the life cycle. A view fetches, calls one action at most, says what happened and redirects."""
