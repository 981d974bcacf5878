"""Pushes that must be inspected before they go on."""
