"""Other hosts than GitHub's, through an HTTP proxy."""
