"""Reading the clouds into the catalogue: one module per part, one engine that runs them. Workers only."""
