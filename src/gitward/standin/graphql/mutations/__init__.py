"""The mutations, by domain."""
