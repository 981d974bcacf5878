"""The search for a secret, in files and in processes."""

from __future__ import annotations

import base64
from pathlib import Path


def spellings(secret: str) -> list[bytes]:
    raw = secret.encode()
    inner = [base64.b64encode(b"\0" * n + raw)[4 if n else 0 : -4] for n in range(3)]
    return [raw, raw.hex().encode(), raw[: len(raw) // 2], raw[len(raw) // 2 :], *inner]


def found_in_files(secret: str, root: Path) -> list[str]:
    """Every file below `root` with the secret in any spelling."""
    hits = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            hits += [str(path.relative_to(root)) for form in spellings(secret) if form in content]
    return hits


def found_in_processes(secret: str, *, but: set[int]) -> list[str]:
    """Every process whose arguments or environment hold the secret."""
    hits = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) not in but:
            for name in ("cmdline", "environ"):
                try:
                    content = (folder / name).read_bytes()
                except OSError:  # it has ended, or belongs to nobody that we may look at
                    continue
                hits += [f"{folder.name}/{name}" for form in spellings(secret)[:2] if form in content]
    return hits
