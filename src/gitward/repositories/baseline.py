"""The state of a checkout right before the instruction, with which its work is compared.

It lies beside `work`, where no sandbox sees it, and outlives the attempt, so that a lost attempt's work can be compared
too.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from gitward.repositories import checkout
from gitward.repositories.refs import Refs, parse
from gitward.repositories.start_point import StartPoint

_FOLDER = "baseline"
_FACTS = "facts.json"
_REFS = "packed-refs"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Noted when the tree is written, dropped when the work is kept."""

    run_id: str
    attempt: int
    repository: str
    start: StartPoint
    index: tuple[int, int, int] | None  # identity of the checkout's index; see `GitFolder.index`


def index_path(workspace: Path) -> Path:
    """A copy of the checkout's index."""
    return workspace / _FOLDER / "index"


def refs(workspace: Path) -> Refs:
    """What was upstream when it was noted. Blocks. Raises OSError, BadRefs."""
    return parse((workspace / _FOLDER / _REFS).read_bytes())


def note(workspace: Path, baseline: Baseline, upstream: bytes) -> None:
    """From here on the checkout holds the work of this attempt. Blocks."""
    drop(workspace)
    folder = workspace / _FOLDER
    folder.mkdir(mode=0o700)
    checkout.copy_index(workspace, index_path(workspace))
    (folder / _REFS).write_bytes(upstream)
    temporary = folder / f"{_FACTS}.new"
    temporary.write_text(json.dumps(asdict(baseline)))
    temporary.replace(folder / _FACTS)


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
