"""The ledger: what happened, written once, never changed, provable. Of ours it imports only `base`."""
