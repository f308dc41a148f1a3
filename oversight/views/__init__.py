"""The operator's pages: twenty lines each at most, reading PostgreSQL and Redis only."""
