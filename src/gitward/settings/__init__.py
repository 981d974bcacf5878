"""All settings, read once at the entry point into a frozen value; `environment` alone reads the environment."""
