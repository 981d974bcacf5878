"""The real broker process between real git and gh and the stand-in GitHub."""
