"""Changing the rules: a proposal, what it would do, and a second operator who lets it happen."""
