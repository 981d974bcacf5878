"""Which kind of file system a folder is on."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPE = re.compile(r"\\([0-7]{3})")


def file_system_of(folder: Path) -> str:
    """Its type as Linux calls it: `ext4`, `nfs4`, `overlay`. Blocks.

    :raises OSError: the folder cannot be looked at.
    """
    place = folder.resolve(strict=True)
    best, kind = -1, "unknown"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, rest = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) < 5:
            continue
        mounted = Path(_ESCAPE.sub(lambda found: chr(int(found[1], 8)), parts[4]))
        if place.is_relative_to(mounted) and len(mounted.parts) >= best:  # a later mount hides an earlier one
            best, kind = len(mounted.parts), rest.partition(" ")[0]
    return kind
