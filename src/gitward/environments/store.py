"""The folder of environments: images by the digest of their content, and names that lead to them.

An image is complete before it gets its place, by one rename, and is never written again. Who uses one holds a shared
lock on a file beside it; so an image that a sandbox sees is never removed, and a crash leaves no lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitward.errors import GitwardError
from gitward.grants.system_image import SystemImage

VERSION = 1  # of what is written beside an image
_ABOUT = "about.json"
_LOCK = "lock"
_TREE = "tree"
_PART = ".part-"


class Unusable(GitwardError):
    """The sentence says what is wrong with an environment, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One environment."""

    name: str
    digest: str  # SHA-256 of what is in it
    source: str  # as the operator gave it
    added_at: str  # ISO 8601
    bytes: int
    files: int
    image: SystemImage


class Store:
    """Below one folder. All methods block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = folder / "names"
        self._images = folder / "images"

    def names(self) -> list[str]:
        try:
            return sorted(each.stem for each in self._names.iterdir() if each.suffix == ".json")
        except FileNotFoundError:
            return []

    def get(self, name: str) -> Stored | None:
        """None: there is none of this name. Raises Unusable."""
        try:
            named = self._named(name)
            if named is None:
                return None
            about = json.loads((self._images / named["digest"] / _ABOUT).read_text())
            if about["version"] != VERSION:
                raise Unusable(f"The environment {name} was made by another version of Gitward; add it again.")
            return Stored(
                name=name,
                digest=named["digest"],
                source=named["source"],
                added_at=named["added_at"],
                bytes=about["bytes"],
                files=about["files"],
                image=self._image(named["digest"], about),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unusable(f"The environment {name} cannot be read ({type(error).__name__}); add it again.") from error

    def _named(self, name: str) -> dict[str, str] | None:
        try:
            named = json.loads((self._names / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        if not isinstance(named, dict):
            raise ValueError("not the description of a name")  # noqa: TRY004  # as of any file that is not ours
        return named

    def _image(self, digest: str, about: dict[str, Any]) -> SystemImage:
        place = self._images / digest
        return SystemImage(
            root=place / _TREE,
            folders=tuple(about["folders"]),
            links=dict(about["links"]),
            variables=dict(about["variables"]),
            lock=place / _LOCK,
        )

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else adds or removes inside this block. Raises Unusable."""
        for folder in (self.folder, self._names, self._images):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # sandboxes run as users of their own
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Unusable(f"Another command is changing {self.folder}; wait for its end.") from None
        finally:
            os.close(lock)

    def new_part(self) -> Path:
        """An empty folder for an image that is being made; `sweep` removes what an interrupted command left."""
        part = self._images / f"{_PART}{secrets.token_hex(8)}"
        (part / _TREE).mkdir(parents=True)
        part.chmod(0o755)
        return part

    @staticmethod
    def tree(part: Path) -> Path:
        return part / _TREE

    def put(self, part: Path, digest: str, about: dict[str, Any]) -> SystemImage:
        """Gives a complete image its place. One with the same content that is there already stays."""
        place = self._images / digest
        if not (place / _ABOUT).exists():
            (part / _LOCK).touch(mode=0o644)
            (part / _ABOUT).write_text(json.dumps({"version": VERSION, **about}, indent=1))
            (part / _ABOUT).chmod(0o644)
            part.rename(place)
        return self._image(digest, about)

    def name(self, name: str, digest: str, *, source: str, added_at: str) -> None:
        """From now on the name leads to this image."""
        new = self._names / f".{name}.new"
        new.write_text(json.dumps({"digest": digest, "source": source, "added_at": added_at}, indent=1))
        new.replace(self._names / f"{name}.json")

    def remove(self, name: str) -> bool:
        """Removes the name, and its image when no other name leads there. False: there is none.

        :raises Unusable: a sandbox uses it.
        """
        named = self._named(name)
        if named is None:
            return False
        others = {self._digest_of(each) for each in self.names() if each != name}
        place = self._images / named["digest"]
        if named["digest"] not in others and place.is_dir():
            with _alone(place / _LOCK) as is_free:
                if not is_free:
                    raise Unusable(f"The environment {name} is in use by a run; remove it when the run has ended.")
                (self._names / f"{name}.json").unlink()
                _clear(place)
        else:
            (self._names / f"{name}.json").unlink()
        return True

    def sweep(self) -> None:
        """Removes images that no name leads to and nobody uses, and what an interrupted command left."""
        kept = {self._digest_of(name) for name in self.names()}
        for place in self._images.iterdir():
            if place.name.startswith(_PART):
                _clear(place)
            elif place.name not in kept:
                with _alone(place / _LOCK) as is_free:
                    if is_free:
                        _clear(place)

    def _digest_of(self, name: str) -> str | None:
        try:
            named = self._named(name)
        except ValueError:
            return None
        return None if named is None else named.get("digest")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether nobody else has a lock on the file while this block lasts."""
    lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def _clear(place: Path) -> None:
    """Removes an image. Its own lock file and description go last: half an image is no image."""
    aside = place.with_name(f"{_PART}{secrets.token_hex(8)}")
    place.rename(aside)
    remove_tree(aside)


def remove_tree(root: Path) -> None:
    """Removes a folder, also where folders in it cannot be written. Follows no link."""
    for folder, names, files in os.walk(root):
        os.chmod(folder, 0o700)
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.unlink(path)
        for name in files:
            os.unlink(os.path.join(folder, name))
    for folder, _, _ in os.walk(root, topdown=False):
        os.rmdir(folder)
