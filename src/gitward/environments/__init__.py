"""Environments: unpacked images whose tools take the place of the host's in setup and instruction of a run."""
