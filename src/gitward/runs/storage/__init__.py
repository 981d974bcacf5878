"""The disk of the workspaces."""
