"""What every room needs and nothing more: the two clocks, domain errors, crash points, migration operations."""
