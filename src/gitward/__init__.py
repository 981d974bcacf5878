"""Gitward does background work on GitHub repositories, in a sandbox that never sees the token."""

__version__ = "0.1.0"
