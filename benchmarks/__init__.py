"""Figures of Gitward on this machine: ratios taken in one run, medians of interleaved rounds."""
