"""What the hook asks git about a push."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

ZERO = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LONGEST_POINTER = 1024  # bytes; Git LFS takes nothing larger for a pointer


class Blob(NamedTuple):
    """A new version of a file."""

    sha: str
    path: str
    size: int


class AddedLine(NamedTuple):
    """A line that a commit adds."""

    commit: str
    path: str
    number: int
    text: str


def git(*arguments: str, stdin: bytes = b"") -> str:
    ended = subprocess.run(["git", *arguments], check=True, capture_output=True, input=stdin)
    return ended.stdout.decode(errors="surrogateescape")


def succeeds(*arguments: str) -> bool:
    return subprocess.run(["git", *arguments], check=False, capture_output=True).returncode == 0


def new_commits(*tips: str) -> list[str]:
    """The commits that no ref has yet, oldest first."""
    return git("rev-list", "--reverse", *tips, "--not", "--all").split() if tips else []


def new_blobs(*tips: str) -> list[Blob]:
    """The file contents that no ref has yet."""
    listed = git("rev-list", "--objects", *tips, "--not", "--all") if tips else ""
    paths = dict(line.partition(" ")[::2] for line in listed.splitlines())
    wanted = "".join(f"{sha}\n" for sha, path in paths.items() if path).encode()
    checked = git("cat-file", "--batch-check=%(objecttype) %(objectname) %(objectsize)", stdin=wanted) if wanted else ""
    fields = (line.split(" ") for line in checked.splitlines())
    return [Blob(sha=sha, path=paths[sha], size=int(size)) for kind, sha, size in fields if kind == "blob"]


def contents(blobs: Sequence[Blob]) -> list[bytes]:
    """Of small blobs, one by one."""
    if not blobs:
        return []
    wanted = "".join(f"{blob.sha}\n" for blob in blobs).encode()
    ended = subprocess.run(["git", "cat-file", "--batch=x"], check=True, capture_output=True, input=wanted)
    found, place = [], 0
    for blob in blobs:
        place += len("x\n")
        found.append(ended.stdout[place : place + blob.size])
        place += blob.size + 1
    return found


def changed_paths(commit: str) -> list[str]:
    """Against the first parent."""
    line = git("rev-list", "--parents", "--max-count=1", commit).split()
    parent = line[1] if len(line) > 1 else EMPTY_TREE
    return [path for path in git("diff-tree", "-r", "--name-only", "-z", parent, commit).split("\0") if path]


def added_lines(*tips: str) -> list[AddedLine]:
    """The lines that the new commits add, oldest commit first."""
    found: list[AddedLine] = []
    for commit in new_commits(*tips):
        shown = git("diff-tree", "-p", "-U0", "--root", "--no-commit-id", "--no-renames", "-m", commit)
        path, number = "", 0
        for line in shown.split("\n"):
            if line.startswith("+++ "):
                path = line[4:].removeprefix("b/").rstrip("\t")
            elif line.startswith("@@ "):
                number = int(line.split("+", 1)[1].split(" ", 1)[0].split(",")[0])
            elif line.startswith("+"):
                found.append(AddedLine(commit=commit, path=path, number=number, text=line[1:]))
                number += 1
    return found
