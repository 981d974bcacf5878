"""`scripts/test` says at once when sandboxes could not reach the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "test"


def test_root_is_told_which_folder_is_closed() -> None:
    """An ordinary user's sandboxes run as that user, who can pass: there it goes on."""
    closed = Path(tempfile.mkdtemp(prefix="gitward-closed-", dir="/var/tmp"))  # with mode 0700, as /root
    try:
        (closed / "clone/scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, closed / "clone/scripts")
        argv = (closed / "clone/scripts/test",)
        ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    finally:
        shutil.rmtree(closed)
    assert (f"cannot pass through {closed}: run chmod o+x {closed}" in ended.stderr) == (os.getuid() == 0), ended.stderr
    assert ended.returncode == (2 if os.getuid() == 0 else 127)
