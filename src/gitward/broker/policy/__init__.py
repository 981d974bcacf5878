"""Values and decisions: what is allowed, and the sentence of a refusal. No input, no output."""
