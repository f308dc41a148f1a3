"""The ledger: what happened, written once, never changed, and provable. Imports nothing of ours but `base`."""
