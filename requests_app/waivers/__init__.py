"""Going without an approval: in an emergency, with a review owed, or automatically, under a rule's conditions (ADR 0059)."""
