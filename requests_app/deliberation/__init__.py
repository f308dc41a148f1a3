"""What is said and done about an item while it waits for a decision: questions with answers, and who is looking at it."""
