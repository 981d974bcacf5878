"""Commands inside the run's sandbox, and calls of GitHub: each bounded, and repeated while a fault may pass."""
