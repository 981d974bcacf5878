"""What the run may do at GitHub: its grant, its token, what the broker saw of it."""
