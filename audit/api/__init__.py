"""The trail for auditors' own programs: reading only, with tokens that say what for and until when."""
