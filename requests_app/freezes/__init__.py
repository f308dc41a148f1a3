"""Freezes: in an incident, nothing new is asked for, approved or started for a person, an account or a permission set."""
