"""`python -m gitward`."""

from gitward.cli.main import main

main()
