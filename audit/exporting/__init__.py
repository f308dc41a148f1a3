"""What leaves the audit trail: tables for other programs, and evidence that others can verify."""
