"""The repository's files: mirror, snapshot, checkout, and the result into which a run's work is taken.

Git of ours is the host's, in a sandbox, with a configuration of our own; what a command configured decides nothing.
"""

OBJECTS_DIR = "/gitward/objects"  # where a sandbox sees the snapshot's objects, read-only
