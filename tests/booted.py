"""The systemd unit under a systemd that boots for it: see scripts/systemd."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import minimal_machines
import wheels

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "gitward.service"
PULL_REQUEST = "Pull request: https://github.example/octocat/hello-world/pull/1"
_SECONDS = 120.0  # bounds a hang
_PACKAGES = ("bubblewrap", "ca-certificates", "curl", "dbus", "gh", "git", "git-lfs", "python3-venv", "systemd")
_TARGET = "[Unit]\nDescription=Tried\nWants=dbus.socket gitward.service gitward-demo.service\nAllowIsolate=yes\n"
# In cgroups of its own, with the devices of a container.
_BOOT = """
while IFS=: read -r _ name path; do
  for mounted in "${name#name=}" unified .; do
    folder=/sys/fs/cgroup/$mounted$path
    [ -e "$folder/cgroup.procs" ] || continue
    mkdir "$folder/$2" && { { echo $$ > "$folder/$2/cgroup.procs"; } 2>/dev/null || rmdir "$folder/$2"; }
    break
  done
done <<< "$(< /proc/self/cgroup)"
exec unshare --cgroup --mount --pid --net --uts --ipc --fork --kill-child bash -euc '
  ip link set lo up
  mount --bind "$1" "$1" && cd "$1"
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t tmpfs -o mode=755 tmpfs dev
  for each in null zero full random urandom tty; do touch dev/$each && mount --bind /dev/$each dev/$each; done
  mkdir dev/pts dev/shm && ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  mount -t tmpfs tmpfs dev/shm
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  pivot_root . mnt && umount -l mnt
  export container=lxc
  exec chroot . /lib/systemd/systemd --system --unit=tried.target
' - "$1"
"""


def furnish(root: Path) -> None:
    """Gitward is installed as docs/deployment.md says."""
    minimal_machines.make(root, *_PACKAGES)
    house = root / "srv" / "wheels"
    house.mkdir()
    wheels.add_dependencies(house)
    wheels.build(house)
    pip = ("/opt/gitward/bin/pip", "--isolated", "install", "--quiet", "--no-index", "--find-links", "/srv/wheels")
    for argv in (
        ("python3", "-m", "venv", "/opt/gitward"),
        (*pip, "gitward"),
        ("useradd", "--system", "--no-create-home", "--home-dir=/var/lib/gitward", "gitward"),
        ("install", "-d", "-m", "0755", "/etc/gitward"),
        ("install", "-d", "-m", "0700", "-o", "gitward", "/var/backups/gitward"),
    ):
        subprocess.run(("chroot", str(root), *argv), check=True)
    for source, place in ((DEPLOY / "settings", "etc/gitward"), (DEPLOY / "gitward", "usr/local/bin")):
        shutil.copy(source, root / place)
    (root / "etc/gitward/github-token").write_text(f"ghp_{secrets.token_hex(18)}\n")
    for name, mode, owner in (("github-token", "0400", "gitward:"), ("settings", "0640", "root:gitward")):
        for change in (("chown", owner), ("chmod", mode)):
            subprocess.run(("chroot", str(root), *change, f"/etc/gitward/{name}"), check=True)
    units = root / "etc/systemd/system"
    shutil.copy(UNIT, units)
    (units / "gitward-demo.service").write_text(demo_unit())
    (units / "tried.target").write_text(_TARGET)


def demo_unit() -> str:
    """The same restrictions for the demo, which ends."""
    text = UNIT.read_text()
    for pattern, new in (
        (r"^ExecStart=.*", "ExecStart=/opt/gitward/bin/gitward demo\nStandardOutput=file:/var/tmp/demo"),
        (r"^Type=.*", "Type=oneshot\nStandardError=file:/var/tmp/errors"),
        (r"^Restart=.*", "Restart=no"),
        (r"^(State|Runtime)Directory=gitward$", r"\1Directory=gitward-demo"),
    ):
        text, changed = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert changed, pattern
    return text


@contextlib.contextmanager
def booted(root: Path) -> Iterator[int]:
    """The process id of its systemd."""
    group = f"gitward-tried-{os.getpid()}"
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen(("bash", "-euc", _BOOT, "-", str(root), group), stdin=subprocess.DEVNULL, env=path)
    try:
        yield wait("systemd starts", lambda: _child_of(process.pid))
    finally:
        process.send_signal(signal.SIGKILL)  # all that it started goes with it
        process.wait(timeout=_SECONDS)
        wait("all of it has ended", lambda: _remove_cgroups(group))


def _remove_cgroups(name: str) -> bool:
    """False while processes of it are still being reaped."""
    mine = [folder for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False) if name in Path(folder).parts]
    for folder in mine:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not any(Path(folder).exists() for folder in mine)


def _child_of(pid: int) -> int:
    """The only one; 0 while there is none."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(told[0]) if told else 0


def inside(systemd: int, *argv: str) -> subprocess.CompletedProcess[str]:
    line = ("nsenter", f"--target={systemd}", "--all", "--", *argv)
    return subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS, check=False)


def wait(what: str, look: Callable[[], int]) -> int:
    """What `look` finds, when it finds something."""
    end = time.monotonic() + _SECONDS
    while not (found := look()):
        assert time.monotonic() < end, f"not within {_SECONDS:g} s: {what}"
        time.sleep(0.2)
    print(f"systemd: {what}", flush=True)
    return found


def try_out(root: Path) -> None:
    with booted(root) as systemd:
        ready = ("curl", "-fsS", "http://127.0.0.1:8000/ready")
        wait("the service is ready", lambda: inside(systemd, *ready).returncode == 0)
        try_commands(systemd, root)
        out, errors = root / "var/tmp/demo", root / "var/tmp/errors"
        state = ("systemctl", "is-failed", "gitward-demo")
        wait(
            "the demo has ended",
            lambda: PULL_REQUEST in _text(out) or inside(systemd, *state).stdout.strip() == "failed",
        )
        assert PULL_REQUEST in _text(out), _text(out) + _text(errors)
        print("systemd: with the unit's restrictions the demo opened its pull request", flush=True)
        inside(systemd, "systemctl", "stop", "gitward")
        result = inside(systemd, "systemctl", "show", "gitward", "--property=Result,ExecMainStatus,ActiveState").stdout
        assert set(result.split()) == {"Result=success", "ExecMainStatus=0", "ActiveState=inactive"}, result
        print("systemd: the service stopped in order", flush=True)


def try_commands(systemd: int, root: Path) -> None:
    """They mean the service's database, key and token."""

    def gitward(*argv: str) -> str:
        done = inside(systemd, "/usr/local/bin/gitward", *argv)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout.strip()

    asked = ("curl", "-fsS", "-H", f"Authorization: Bearer {gitward('token')}", "http://127.0.0.1:8000/me")
    assert inside(systemd, *asked).returncode == 0
    assert gitward("migrate") == "The database is up to date"
    assert "/sign-in" in gitward("sign-in")
    gitward("backup", "/var/backups/gitward/gitward.db")
    copies = [path.stat().st_size for path in (root / "var/backups/gitward").iterdir()]
    assert len(copies) == 1
    assert copies[0] > 100_000
    done = inside(systemd, "/usr/local/bin/gitward", "backup", "/var/backups/gitward/gitward.db")
    assert (done.returncode, "already exists" in done.stderr) == (2, True), done.stderr
    doctor = inside(systemd, "/usr/local/bin/gitward", "doctor").stdout
    assert re.search(r"token .*a classic token, found in GITHUB_TOKEN_FILE", doctor), doctor
    name = "a$$b${GITHUB_TOKEN_FILE}$HOME"
    jwt = gitward("token", "--subject", name)
    assert json.loads(base64.urlsafe_b64decode(jwt.split(".")[1] + "=="))["sub"] == name
    done = inside(systemd, "/usr/local/bin/gitward", "stop-owner", name)
    assert (done.returncode, f"{name} at gitward has no session" in done.stderr) == (1, True), done.stderr
    done = inside(systemd, "setpriv", "--reuid=nobody", "/usr/local/bin/gitward", "doctor")
    assert (done.returncode, "run it as root" in done.stderr) == (2, True), done.stderr
    print("systemd: commands beside the service use its database, key and token", flush=True)


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="gitward-systemd-", dir="/var/tmp"))
    try:
        furnish(folder / "root")
        try_out(folder / "root")
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
