"""Hosts whose secret the broker puts into each request, so that no sandbox holds it: GITWARD_INJECT."""
