"""The /etc of an environment: the image's, without what its system kept from others, with the sandbox's own files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

_BUNDLE = ("ssl", "certs", "ca-certificates.crt")
# Of a machine's life and its accounts; nothing of it means anything in a sandbox.
_LEFT_OUT = frozenset(
    {
        *("shadow", "shadow-", "gshadow", "gshadow-", "passwd-", "group-", "sudoers", "sudoers.d", "ssh", "machine-id"),
        *("ssl/private", "security", "systemd", "init.d", "cron.d", "cron.daily", "cron.hourly", "cron.weekly"),
        *("fstab", "mtab", "hosts", "crypttab", "NetworkManager", "netplan"),
        "profile",  # it sets PATH anew in every login shell (`bash -lc`), whatever the image's own PATH was
    }
)


def is_wanted(path: str, status: os.stat_result) -> bool:
    """Whether a thing at this path of an image is taken; what others may not read in /etc is not."""
    below, _, rest = path.partition("/")
    if below != "etc":
        return True
    if rest in _LEFT_OUT:
        return False
    readable = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
    return stat.S_ISLNK(status.st_mode) or status.st_mode & readable == readable


def furnish(etc: Path, texts: Mapping[str, str], roots: bytes) -> None:
    """Puts the sandbox's own files in place. A link of the image in their way goes: nothing is written through it."""
    for name, text in {**texts, "hosts": ""}.items():
        _write(etc / name, text.encode())
    place = etc
    for name in _BUNDLE[:-1]:
        place = place / name
        if place.is_symlink() or not place.is_dir():
            place.unlink(missing_ok=True)
            place.mkdir()
            place.chmod(0o755)
    _write(place / _BUNDLE[-1], roots)


def _write(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
