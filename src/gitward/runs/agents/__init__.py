"""Step `execute` for a prompt: the agent's turn."""
