"""Other hosts than GitHub's, by an HTTP proxy."""
