"""The script that waits in a sandbox for its command."""

from __future__ import annotations

import re

from gitward.sandboxes.bwrap_process import _WAITS


def test_its_variables_are_no_image_s() -> None:
    """What it assigns to a name that an image exports, the command would see."""
    script = _WAITS[-1].decode()
    assigned = re.findall(r"(?m)^\s*(?:read -r )?(\w+)(?:=|$)", script)
    names = {name for name in assigned if name not in {"do", "done"}}
    assert names == {"_gitward_how", "_gitward_code"}
