"""Real agents, in real sandboxes, beside a stand-in for their models."""
