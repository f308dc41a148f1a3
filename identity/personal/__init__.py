"""People's own tokens, with which a worker activates as the person: sealed here, opened by workers only."""
