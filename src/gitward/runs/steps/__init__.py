"""The steps that a caller sees, one file each."""
