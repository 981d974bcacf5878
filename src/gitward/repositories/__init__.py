"""The repository's files: mirror, snapshot, checkout, and the result that collects a run's work.

Gitward runs the host's git, in a sandbox, with its own configuration; what a command configured has no effect.
"""

OBJECTS_DIR = "/gitward/objects"  # where a sandbox sees the snapshot's objects, read-only
