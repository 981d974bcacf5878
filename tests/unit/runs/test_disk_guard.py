"""What the guard of the disk counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gitward.runs.storage.disk_guard import _without_name

ZOMBIE = """
import os
child = os.fork() or os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("there", flush=True)
input()
"""


def test_a_process_that_ended_and_that_nobody_asks_for_hides_nothing(tmp_path: Path) -> None:
    """The kernel answers EINVAL for its mounts: whoever has one must not keep the guard from ending anybody."""
    with subprocess.Popen([sys.executable, "-c", ZOMBIE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"there\n"
        assert _without_name([tmp_path / "of-nobody"]) == {tmp_path / "of-nobody": 0}
        parent.communicate(b"\n")
