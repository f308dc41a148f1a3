"""One module per status in which a grant owes work: look, act once, write down what was seen.

A step takes a claim, makes a few calls, settles in one transaction and gives the lease back. It
may die at any line; the next claim begins by looking again.
"""
