"""The way to other hosts than GitHub's: an HTTP proxy for one run, opened by GITWARD_EGRESS."""
