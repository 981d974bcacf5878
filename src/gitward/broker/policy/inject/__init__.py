"""Hosts for which the broker injects a secret."""
