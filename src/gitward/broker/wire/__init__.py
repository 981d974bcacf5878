"""What both sides read and write: messages, configuration, and the parsers of what comes in."""
