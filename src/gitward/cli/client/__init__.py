"""The half of the command line that talks to a service, here or elsewhere. It runs on any system that runs Python."""
