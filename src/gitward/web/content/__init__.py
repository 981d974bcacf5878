"""What came out of a sandbox, made fit to be shown: bounded, escaped, with nothing hidden in it."""
