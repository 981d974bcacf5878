"""Root file systems of a minimal Debian, and what it takes to run something in one as on a machine of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gitward.settings.environment import installers_environment

_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"  # as Debian is installed
# A new root, because the kernel refuses user namespaces in a chroot. User ids of sandboxes are leased in /run/gitward.
_MOUNTS = """
mount --bind "$1" "$1" && cd "$1" && shift
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p /run/gitward run/gitward && mount --bind /run/gitward run/gitward
mount -t tmpfs -o mode=1777 tmpfs tmp
pivot_root . mnt && umount -l mnt
exec chroot . "$@"
"""


def make(root: Path, *packages: str) -> None:
    """It trusts the certificates that this machine trusts, and finds names as it does."""
    include = f"--include={','.join(packages)}"
    argv = ("unshare", "--mount", "mmdebstrap", "--quiet", "--variant=minbase", include, "bookworm", str(root))
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    (root / "etc/hosts").write_text(_HOSTS)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    trust(root)


def trust(root: Path) -> None:
    """Where certificates are installed: those of this machine."""
    (root / _CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(f"/{_CERTIFICATES}", root / _CERTIFICATES)


def inside(root: Path, *argv: str) -> Sequence[str]:
    """The command line that runs another one there. What it leaves running ends with it."""
    return ("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", _MOUNTS, "-", str(root), *argv)


def environment(home: str) -> dict[str, str]:
    """How this machine reaches the registries; else what a login has."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**installers_environment(), "HOME": home, "PATH": path}
