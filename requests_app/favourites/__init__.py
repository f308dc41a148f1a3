"""Stars: the PIM groups that somebody wants at hand on Home."""
