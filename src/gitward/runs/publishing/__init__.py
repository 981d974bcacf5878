"""From a run's work to the session's branch, and into the database."""
