"""Mirrors: a complete copy of each repository on this machine, which the runs that may read it share."""

from gitward.repositories.mirrors.service import Mirrors
from gitward.repositories.mirrors.source import FetchFailed, Source, Tell

__all__ = ["FetchFailed", "Mirrors", "Source", "Tell"]
