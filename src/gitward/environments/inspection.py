"""What an image has: its top, its programs. Looked up inside the image, as its own root; nothing is followed out."""

from __future__ import annotations

import os
import platform
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitward.environments.store import Unusable
from gitward.grants.system_image import RESERVED

SEARCHED = ("/usr/local/bin", "/usr/bin", "/bin")
_MOST_LINKS = 40
_MACHINES = {62: "x86_64", 183: "aarch64", 40: "arm", 3: "i386", 22: "s390x", 21: "ppc64le", 243: "riscv64"}
_PT_INTERP = 3
_ELF_BYTES = 64 * 1024  # from the beginning, where the headers are
_ROOTS = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/cert.pem",
    "etc/ssl/ca-bundle.pem",
)
_MOST_ROOTS = 8 * 1024 * 1024  # bytes
_PACKAGES = {"bash": "bash", "git": "git", "gh": "gh", "certificates": "ca-certificates"}  # of Debian


@dataclass(frozen=True, kw_only=True)
class Top:
    """What lies at an image's root and is shown."""

    folders: tuple[str, ...]
    links: Mapping[str, str]


def resolve(root: Path, path: str) -> str | None:
    """Where a path leads inside the image, without its first slash; None when it leads nowhere.

    Links are followed as they are with the image as root; `..` at the root stays there.
    """
    waiting = [part for part in PurePosixPath(path).parts if part != "/"][::-1]
    here: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            here = here[:-1]
            continue
        try:
            status = os.lstat(root.joinpath(*here, part))
        except OSError:
            return None
        if not stat.S_ISLNK(status.st_mode):
            here.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        target = PurePosixPath(os.readlink(root.joinpath(*here, part)))
        here = [] if target.is_absolute() else here
        waiting += [each for each in target.parts if each != "/"][::-1]
    return "/".join(here)


def top_names(source: Path) -> tuple[list[str], dict[str, str]]:
    """Folders and links at the root of a tree that an environment has. Raises Unusable for links that lead out."""
    folders, links = [], {}
    for name in sorted(os.listdir(source)):
        if name in RESERVED:
            continue
        mode = os.lstat(source / name).st_mode
        if stat.S_ISDIR(mode) and os.listdir(source / name):
            folders.append(name)
        elif stat.S_ISLNK(mode):
            links[name] = _leading_inside(source, name)
    for needed in ("usr", "etc"):
        if not stat.S_ISDIR(_mode(source / needed)):
            raise Unusable(f"This is no image of a system: /{needed} is no folder.")
    return folders, links


def _leading_inside(source: Path, name: str) -> str:
    said = os.readlink(source / name)
    found = resolve(source, name)
    if not found or found.split("/")[0] in RESERVED:
        raise Unusable(
            f"The link /{name} leads to {said!r}; a link at an image's top must lead to a folder of its system."
        )
    return found


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def find_program(root: Path, name: str, variables: Mapping[str, str]) -> str | None:
    """Where a command finds the program inside the image."""
    for folder in _path(variables):
        found = resolve(root, f"{folder}/{name}")
        if found is not None and stat.S_ISREG(_mode(root / found)) and _mode(root / found) & 0o111:
            return found
    return None


def _path(variables: Mapping[str, str]) -> Sequence[str]:
    return list(dict.fromkeys([*filter(None, variables.get("PATH", "").split(":")), *SEARCHED]))


def check_parts(root: Path, variables: Mapping[str, str]) -> None:
    """:raises Unusable: the image is for another machine or C library, or something that every run needs is missing."""
    shell = resolve(root, "/bin/sh")
    if shell is None or not stat.S_ISREG(_mode(root / shell)):
        raise Unusable("The image has no /bin/sh. An environment needs a whole system, such as Debian's.")
    _check_loader(root / shell)
    missing = [name for name in ("git", "gh") if find_program(root, name, variables) is None]
    if resolve(root, "/bin/bash") is None:
        missing.insert(0, "bash")
    if find_roots(root) is None:
        missing.append("certificates")
    if missing:
        packages = " ".join(_PACKAGES[name] for name in missing)
        raise Unusable(
            f"The image has no {_listed(missing)}, which every run needs. Install them in the image; on Debian: "
            f"apt-get install {packages}"
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _check_loader(program: Path) -> None:
    """By the ELF header of a program: its machine, and the loader that it asks for."""
    with program.open("rb") as file:
        head = file.read(_ELF_BYTES)
    machine = _machine(head)
    if machine is None:
        return  # a script; the trial tells
    if machine != platform.machine():
        raise Unusable(
            f"The image is for {machine}, and this machine is {platform.machine()}. Build or pull it for "
            f"linux/{'amd64' if platform.machine() == 'x86_64' else 'arm64'}."
        )
    if any(b"ld-musl" in loader for loader in _loaders(head)):
        raise Unusable(
            "The image uses musl (as Alpine does), and agents and their Node.js need glibc. Use an image of Debian, "
            "Ubuntu or another system with glibc; many images have a variant without `alpine` in its tag."
        )


def _machine(head: bytes) -> str | None:
    if len(head) < 64 or head[:4] != b"\x7fELF":
        return None
    order = "<" if head[5] == 1 else ">"
    number = struct.unpack_from(f"{order}H", head, 18)[0]
    return _MACHINES.get(number, f"machine {number}")


def _loaders(head: bytes) -> Iterator[bytes]:
    """What the program header table names as interpreter; nothing for a 32-bit or a cut file."""
    if head[4] != 2 or head[5] != 1:
        return
    offset, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
    for number in range(count):
        at = offset + number * size
        if at + 56 > len(head):
            return
        kind = struct.unpack_from("<I", head, at)[0]
        if kind == _PT_INTERP:
            start, length = struct.unpack_from("<Q", head, at + 8)[0], struct.unpack_from("<Q", head, at + 32)[0]
            yield head[start : start + min(length, 4096)]


def has_library(root: Path, name: str) -> bool:
    """In one of the places where loaders of Debian and Fedora look."""
    triple = f"{platform.machine()}-linux-gnu"
    return any(resolve(root, f"{place}/{name}") for place in (f"/usr/lib/{triple}", "/usr/lib64", "/usr/lib"))


def find_roots(root: Path) -> bytes | None:
    """Its list of certificate authorities, PEM."""
    for place in _ROOTS:
        found = resolve(root, place)
        if found is None or not stat.S_ISREG(_mode(root / found)):
            continue
        with (root / found).open("rb") as file:
            content = file.read(_MOST_ROOTS)
        if b"-----BEGIN CERTIFICATE-----" in content or b"-----BEGIN TRUSTED CERTIFICATE-----" in content:
            return content
    return None
