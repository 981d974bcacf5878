"""GitHub's REST API, as far as gh, the background job and the broker's policy need it."""
