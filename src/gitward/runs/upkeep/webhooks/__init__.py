"""Tells others what happened: messages of the outbox, sent over HTTPS until they arrive."""
