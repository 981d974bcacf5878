"""The sandbox's /etc: a folder of the host, made when a sandbox is opened and bound read-only for each command."""

from __future__ import annotations

import glob
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from gitward.grants.endpoint import Address
from gitward.sandboxes import trees
from gitward.sandboxes.plan import CA_BUNDLE, HOST_NAME, UID, USER
from gitward.sandboxes.protocol import HOME_DIR, SandboxError

_HOST_ROOTS = (CA_BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# What programs need and what says nothing about the host. Everything else of its /etc stays outside.
_COPIED = (
    "alternatives",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "python3*",
    "services",
    "ssl/openssl.cnf",
    "java-*-openjdk",
)


def build(folder: Path, *, addresses: Iterable[Address], ca_pem: bytes) -> None:
    """Fills an empty folder."""
    files = {
        "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n{USER}:x:{UID}:{UID}::{HOME_DIR}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
        "hosts": _hosts(addresses),
        "hostname": f"{HOST_NAME}\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
        "resolv.conf": "# no DNS: the hosts file has the names that can be reached\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    for pattern in _COPIED:
        for source in glob.glob(f"/etc/{pattern}"):
            _copy(Path(source), folder / Path(source).relative_to("/etc"))
    bundle = folder / Path(CA_BUNDLE).relative_to("/etc")
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(_host_roots() + b"\n" + ca_pem)
    (folder / "ssl" / "cert.pem").symlink_to("certs/ca-certificates.crt")
    _open_to_all(folder)


def _open_to_all(folder: Path) -> None:
    """Everybody may read, whatever the worker's umask."""
    folder.chmod(0o755)
    for entry in trees.walk(folder):
        if not stat.S_ISLNK(entry.status.st_mode):
            mode = 0o755 if stat.S_ISDIR(entry.status.st_mode) else 0o644
            os.chmod(entry.name, mode, dir_fd=entry.folder)


def _hosts(addresses: Iterable[Address]) -> str:
    names = sorted({address.host for address in addresses})
    lines = [f"127.0.0.1 localhost {HOST_NAME}", "::1 localhost", *(f"127.0.0.1 {name}" for name in names)]
    return "\n".join(lines) + "\n"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore_dangling_symlinks=True, ignore=_unreadable)
    elif os.access(source, os.R_OK):
        shutil.copyfile(source, target)


def _unreadable(folder: str, names: list[str]) -> list[str]:
    """Names that not everybody may read, and links to nowhere readable: they are not copied."""
    return [name for name in names if not os.path.islink(f"{folder}/{name}") and not _is_public(f"{folder}/{name}")]


def _is_public(path: str) -> bool:
    return bool(os.stat(path).st_mode & 0o004)


def _host_roots() -> bytes:
    for place in _HOST_ROOTS:
        try:
            return Path(place).read_bytes()
        except FileNotFoundError:
            continue
    raise SandboxError(
        f"the public certificate authorities are missing (looked for {', '.join(_HOST_ROOTS)}). "
        "Install them; on Debian: apt-get install ca-certificates"
    )
