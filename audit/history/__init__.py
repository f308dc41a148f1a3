"""What auditors see: the timeline and the case page, read from the ledger together with the rest."""
