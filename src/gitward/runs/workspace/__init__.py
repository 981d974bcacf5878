"""The run's files on this machine."""
