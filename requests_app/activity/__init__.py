"""What was done with access, as CloudTrail tells it: read by workers, kept as a summary, shown to auditors."""
