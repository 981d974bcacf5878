"""`gitward doctor`: a verdict on each part that runs need, and what to do about it.

No check changes what the service keeps. The parts know nothing of each other: one that fails, hangs or breaks leaves
the others their say.
"""
