"""The broker process: listens, asks the policy, forwards."""
