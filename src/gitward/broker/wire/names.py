"""The names of the processes, as `ps -o comm` and /proc/PID/comm show them: at most 15 characters."""

from __future__ import annotations

PARENT_NAME = "gitward-brokers"  # what every broker is forked from
BROKER_NAME = "gitward-broker"  # of one run
