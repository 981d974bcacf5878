"""What pages are told while they are open: made once for all that show the same."""
