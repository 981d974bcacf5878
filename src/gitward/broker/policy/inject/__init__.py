"""Hosts whose secret the broker puts in."""
