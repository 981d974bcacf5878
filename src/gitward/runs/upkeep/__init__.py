"""What a worker does beside its runs."""
