"""The sandbox's /etc: a folder of the host, created when a sandbox opens and bound read-only for each command."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gitward.grants.endpoint import Address
from gitward.grants.system_image import SystemImage
from gitward.sandboxes import foreign_folders
from gitward.sandboxes.plan import CA_BUNDLE, HOST_NAME, IMAGE_ROOTS, UID, USER
from gitward.sandboxes.protocol import HOME_DIR, SandboxError

_HOST_ROOTS = (CA_BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# What programs need and what says nothing about the host. Everything else of its /etc stays outside.
_COPIED = (
    "debian_version",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "services",
    "ssl/openssl.cnf",
)
# What `git lfs install --system` writes.
GIT_CONFIG = """\
[filter "lfs"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
"""
_BOUND = ("alternatives", "java-*-openjdk")  # folders too large to be copied each time


# The same in every sandbox. An image that is added gets them too.
TEXTS = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n{USER}:x:{UID}:{UID}::{HOME_DIR}:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "gitconfig": GIT_CONFIG,
    "group": f"root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
    "hostname": f"{HOST_NAME}\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    "resolv.conf": "# no DNS: the hosts file has the names that can be reached\n",
}


def build(folder: Path, *, addresses: Iterable[Address], ca_pem: bytes) -> tuple[Path, ...]:
    """Fills an empty folder. Returns the host's folders that have to be bound at their own names over it."""
    files = {name: text.encode() for name, text in TEXTS.items()}
    files["hosts"] = _hosts(addresses).encode()
    files[CA_BUNDLE.removeprefix("/etc/")] = _host_roots() + b"\n" + ca_pem
    for name in _COPIED:
        if (source := Path("/etc", name)).is_file():
            files[name] = source.read_bytes()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "ssl" / "cert.pem").symlink_to("certs/ca-certificates.crt")
    bound = tuple(path for pattern in _BOUND for path in sorted(Path("/etc").glob(pattern)) if path.is_dir())
    for path in bound:
        (folder / path.name).mkdir()
    _open_to_all(folder)
    return bound


def add_roots(folder: Path, image: SystemImage, *, ca_pem: bytes) -> None:
    """Adds the authorities for programs of an image: its own (a company's may be there alone), the host's and ours."""
    roots = folder / IMAGE_ROOTS
    roots.write_bytes(b"\n".join([image.roots.read_bytes(), _host_roots(), ca_pem]))
    roots.chmod(0o644)


def _open_to_all(folder: Path) -> None:
    """Everybody may read, whatever the worker's umask."""
    folder.chmod(0o755)
    for entry in foreign_folders.walk(folder):
        if not stat.S_ISLNK(entry.status.st_mode):
            mode = 0o755 if stat.S_ISDIR(entry.status.st_mode) else 0o644
            os.chmod(entry.name, mode, dir_fd=entry.folder)


def _hosts(addresses: Iterable[Address]) -> str:
    names = sorted({address.host for address in addresses})
    lines = [f"127.0.0.1 localhost {HOST_NAME}", "::1 localhost", *(f"127.0.0.1 {name}" for name in names)]
    return "\n".join(lines) + "\n"


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
