"""SCIM v2 as IAM Identity Center profiles it."""
