"""A small tree that passes for an image, as far as files tell it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

MACHINES = {"x86_64": 62, "aarch64": 183}


def elf(machine: int, loader: bytes) -> bytes:
    """The headers of a 64-bit program."""
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    text = loader + b"\0"
    return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(text), len(text), 1) + text


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """With all that every run needs."""
    import platform  # of this fixture alone

    root = tmp_path / "system"
    for folder in ("usr/bin", "usr/lib", "etc/ssl/certs", "opt", "tmp", "proc", "home/dev"):
        (root / folder).mkdir(parents=True)
    program = elf(MACHINES[platform.machine()], b"/lib64/ld-linux-x86-64.so.2")
    for name in ("sh", "bash", "git", "gh"):
        (root / "usr/bin" / name).write_bytes(program)
        (root / "usr/bin" / name).chmod(0o755)
    (root / "bin").symlink_to("usr/bin")
    (root / "lib").symlink_to("/usr/lib")
    (root / "etc/ssl/certs/ca-certificates.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    return root
