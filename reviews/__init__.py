"""Access reviews: campaigns in which whoever decides about a PIM group says of each eligibility whether it stays."""
