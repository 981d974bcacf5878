"""Where the key of an App that was made here is kept: in the data folder, written once, for its user alone.

Beside it stands which App it belongs to. Permissions to come back from GitHub stand in a folder of their own: each is a
file whose name tells nothing, and taking one removes it, so that of two at once one gets it, in whatever process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gitward.errors import GitwardError
from gitward.github.app_manifest import MadeApp
from gitward.github.credentials import key_file_content

log = logging.getLogger(__name__)

STATE_SECONDS = 600.0  # in which a person has made the App on GitHub's page
MOST_STATES = 50  # the oldest goes first
_ROOM = 32 * 1024  # bytes that are taken from the disk before GitHub gives the key
_ABOUT_ROOM = 4096
_PREFIX = ".github-app-"
_DELETE = "delete the App on GitHub, then begin again"  # it is there, and nobody has its key
_RELOAD = f"load this page again, or {_DELETE}"  # GitHub's code is not spent


class NoRoom(GitwardError):
    """The key cannot be kept. The text says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class KnownApp:
    """Whose key the file holds, as far as that is known."""

    id: int
    slug: str
    page: str


class AppKeyFiles:
    """Its methods block on small files."""

    def __init__(self, folder: Path) -> None:
        """:param folder: the data folder."""
        self.key = folder.absolute() / "github-app.pem"
        self._about = self.key.with_suffix(".json")
        self._states = self.key.parent / "github-app-states"

    @property
    def is_there(self) -> bool:
        return os.path.lexists(self.key)

    def about(self) -> KnownApp | None:
        """Which App the key belongs to; None: there is no key, or nothing says so."""
        if not self.is_there:
            return None
        try:
            told = json.loads(self._about.read_text())
            return KnownApp(id=int(told["id"]), slug=str(told["slug"]), page=str(told["page"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def permit(self, holder: str) -> str:
        """A new state: whoever comes back with it, from the same sign-in, may bring a key.

        :param holder: what only this sign-in has.
        :raises NoRoom: the folder cannot be written to.
        """
        state = secrets.token_urlsafe(32)
        try:
            self._states.mkdir(mode=0o700, exist_ok=True)
            self._forget_old()
            (self._states / _name(state, holder)).touch(mode=0o600, exist_ok=False)
        except OSError as error:
            raise _no_room(error, "Mend that, then begin again") from None
        return state

    def take(self, state: str, holder: str) -> bool:
        """Whether this sign-in was given the state, within ten minutes, and nobody has used it."""
        file = self._states / _name(state, holder)
        try:
            age = time.time() - file.stat().st_mtime
            file.unlink()
        except OSError:
            return False
        return age + 1 >= 0 and age < STATE_SECONDS

    def _forget_old(self) -> None:
        """States too old or too many, and what a process left that was killed."""
        limit = time.time() - STATE_SECONDS
        states = _dated(self._states.iterdir())
        left = _dated(self.key.parent.glob(f"{_PREFIX}*"))
        old = {file for at, file in [*states, *left] if at < limit}
        for file in old | {file for _, file in states[: -MOST_STATES + 1]}:
            file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def room(self) -> Iterator[Room]:
        """Room on the disk for one key, taken before the code is spent.

        :raises NoRoom: there is a key already, or the disk has no room for one.
        """
        if self.is_there:
            raise NoRoom(
                f"There is a key already: {self.key}. It is never overwritten. If another App was made now: move the "
                f"key away and {_RELOAD}."
            )
        try:
            key = _reserved(self.key.parent, _ROOM)
            _try_to_link(key)
        except OSError as error:
            raise _no_room(error, f"Mend that and {_RELOAD}") from None
        try:
            yield Room(key=key, to=self.key, about=self._about)
        finally:
            key.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Room:
    """A file with another name, which holds nothing yet."""

    key: Path
    to: Path
    about: Path

    def keep(self, app: MadeApp) -> None:
        """Gives the file its content, and then its name, if nobody has that meanwhile.

        :raises NoRoom: the key is not kept.
        """
        try:
            _fill(self.key, key_file_content(app.key))
            os.link(self.key, self.to)
        except FileExistsError:
            raise NoRoom(f"Another key was kept meanwhile: {self.to}. Move it away, {_DELETE}.") from None
        except OSError as error:
            raise _no_room(error, f"Mend that, {_DELETE}") from None
        self._tell(app)

    def _tell(self, app: MadeApp) -> None:
        """Not needed for the key to work: people read the App's id on GitHub too."""
        told = json.dumps({"id": app.id, "slug": app.slug, "page": app.page}).encode()
        try:
            _sync(self.to.parent)
            made = _reserved(self.about.parent, _ABOUT_ROOM)
            _fill(made, told)
            made.replace(self.about)
        except OSError as error:
            log.warning("The App's id could not be noted beside its key (%s)", error.strerror)


def _dated(files: Iterable[Path]) -> list[tuple[float, Path]]:
    """The oldest first, without those that another process has just taken."""
    found = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            found.append((file.stat().st_mtime, file))
    return sorted(found)


def _reserved(folder: Path, size: int) -> Path:
    """A new file of its user's alone, whose blocks the disk has given."""
    number, name = tempfile.mkstemp(prefix=_PREFIX, dir=folder)
    try:
        os.posix_fallocate(number, 0, size)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(number)
    return Path(name)


def _try_to_link(file: Path) -> None:
    """Some file systems give no second name. Removes the file when that is so."""
    second = file.with_name(f"{file.name}-link")
    try:
        os.link(file, second)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    second.unlink()


def _fill(file: Path, content: bytes) -> None:
    """In place: the blocks are there already."""
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()
        opened.flush()
        os.fsync(opened.fileno())


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _name(state: str, holder: str) -> str:
    return hashlib.sha256(f"{holder} {state}".encode()).hexdigest()


def _no_room(error: OSError, what_to_do: str) -> NoRoom:
    why = error.strerror or type(error).__name__
    return NoRoom(f"The key cannot be kept in the data folder: {why}. {what_to_do}.")
