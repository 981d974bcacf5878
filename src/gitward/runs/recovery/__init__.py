"""What becomes of work that did not come to its end."""
