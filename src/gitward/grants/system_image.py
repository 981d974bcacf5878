"""An unpacked image whose system folders take the place of the host's inside a sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RESERVED = frozenset(
    {
        *("boot", "dev", "etc", "gitward", "home", "host", "lost+found", "media", "mnt", "proc", "result", "root"),
        *("run", "sys", "tmp", "var", "workspace"),
    }
)  # names at the top that a sandbox makes itself, or that belong to nobody's tools


@dataclass(frozen=True, kw_only=True)
class SystemImage:
    """Complete, checked, and written by nobody any more."""

    root: Path  # of the host; what is named below lies in it
    folders: tuple[str, ...]  # seen at the same place inside: "usr", "opt", "var/lib". No link is among them
    links: Mapping[str, str] = field(default_factory=dict)  # at the top: "bin" leads to "usr/bin"
    variables: Mapping[str, str] = field(default_factory=dict)  # that its maker set; PATH has absolute folders
    lock: Path  # who uses the image holds a shared lock on this file

    @property
    def roots(self) -> Path:
        """Its certificate authorities, PEM."""
        return self.root / "etc/ssl/certs/ca-certificates.crt"
