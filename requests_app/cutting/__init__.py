"""Taking access away in AWS faster than its vendors do: fast removal, and severing of sessions.

Both are settings that are off by default. Fast removal is carried out by the remover, severing by the severer: each
a process with database rights and AWS credentials of its own, which can only take access away.
"""
