"""The state of a checkout right before the instruction, with which its work is compared.

It lies beside `work`, where no sandbox sees it, and outlives the attempt, so that a lost attempt's work can be compared
too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gitward.repositories import checkout
from gitward.repositories.refs import Refs, parse
from gitward.repositories.start_point import StartPoint

_FOLDER = "baseline"
_FACTS = "facts.json"
_REFS = "packed-refs"
_SETUP = "setup-files"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Noted when the tree is written, dropped when the work is kept."""

    run_id: str
    attempt: int
    repository: str
    start: StartPoint
    index: tuple[int, int, int] | None  # identity of the checkout's index; see `GitFolder.index`
    has_setup: bool = False  # whether a setup changed files before it was noted; see `setup_files`


@dataclass(frozen=True, kw_only=True)
class SetupFile:
    """A file as the setup left it; gone: mode 000000."""

    mode: str
    oid: str
    path: bytes


def index_path(workspace: Path) -> Path:
    """A copy of the checkout's index."""
    return workspace / _FOLDER / "index"


def refs(workspace: Path) -> Refs:
    """What was upstream when it was noted. Blocks. Raises OSError, BadRefs."""
    return parse((workspace / _FOLDER / _REFS).read_bytes())


def begin(workspace: Path) -> None:
    """Keeps the index as the checkout wrote it. No foreign code has run yet: a setup may write an index of its own,
    and ours begins as git made it. Blocks."""
    drop(workspace)
    (workspace / _FOLDER).mkdir(mode=0o700)
    checkout.copy_index(workspace, index_path(workspace))


def note(workspace: Path, baseline: Baseline, upstream: bytes) -> None:
    """From here on the checkout holds the work of this attempt. It has begun. Blocks."""
    folder = workspace / _FOLDER
    (folder / _REFS).write_bytes(upstream)
    temporary = folder / f"{_FACTS}.new"
    temporary.write_text(json.dumps(asdict(baseline)))
    temporary.replace(folder / _FACTS)


def note_setup_files(workspace: Path, files: Iterable[SetupFile]) -> None:
    """What the setup left in the tree, beside the start. Before `note`. Blocks."""
    lines = b"".join(b"%s %s %s\0" % (each.mode.encode(), each.oid.encode(), each.path) for each in files)
    (workspace / _FOLDER / _SETUP).write_bytes(lines)


def setup_files(workspace: Path) -> dict[bytes, SetupFile]:
    """By their paths. Blocks."""
    try:
        content = (workspace / _FOLDER / _SETUP).read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for line in content.split(b"\0")[:-1]:
        mode, oid, path = line.split(b" ", 2)
        found[path] = SetupFile(mode=mode.decode(), oid=oid.decode(), path=path)
    return found


def find(workspace: Path) -> Baseline | None:
    """Of whose work is there and is not kept; None also for a note that was cut short. Blocks."""
    try:
        values = json.loads((workspace / _FOLDER / _FACTS).read_text())
        index = tuple(values["index"]) if values["index"] else None
        return Baseline(**{**values, "start": StartPoint(**values["start"]), "index": index})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def drop(workspace: Path) -> None:
    """The work is kept, or there is none. Blocks."""
    shutil.rmtree(workspace / _FOLDER, ignore_errors=True)
