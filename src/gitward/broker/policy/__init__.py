"""Values and decisions: what is allowed, and the sentence when it is not. No input, no output."""
