"""git's diff, file by file. It is split where git begins a file, and read line by line when one is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitward.sessions.changed_lines import changed_lines
from gitward.web.content.colours import Token, language_of, tokens
from gitward.web.content.visible import visible

_FILE = re.compile(rb"^diff --git ", re.MULTILINE)
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
LONGEST_LINE = 2000  # characters that are shown of one


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    number: int  # 1, 2, … in the diff
    path: str
    old_path: str | None  # when it had another name
    kind: str  # added | deleted | renamed | changed
    is_binary: bool
    additions: int
    deletions: int
    start: int
    end: int

    @property
    def lines(self) -> int:
        return self.additions + self.deletions


@dataclass(frozen=True, kw_only=True)
class DiffLine:
    kind: str  # add | del | same | hunk | note
    old: int | None
    new: int | None
    tokens: Sequence[Token]


def files_of(diff: bytes) -> list[ChangedFile]:
    """Blocks for as long as the diff is."""
    starts = [found.start() for found in _FILE.finditer(diff)]
    ends = [*starts[1:], len(diff)]
    return [_file(diff, number + 1, start, end) for number, (start, end) in enumerate(zip(starts, ends, strict=True))]


def _file(diff: bytes, number: int, start: int, end: int) -> ChangedFile:
    body = diff.find(b"\n@@ ", start, end)
    head = diff[start : body if body >= 0 else min(end, start + 4096)].decode("utf-8", "replace").split("\n")
    counted = changed_lines(diff[start:end])
    old, new = _names(head)
    return ChangedFile(
        number=number,
        path=visible(new or old or "?"),
        old_path=visible(old) if old and new and old != new else None,
        kind=_kind(head),
        is_binary=any(line.startswith(("Binary files ", "GIT binary patch")) for line in head),
        additions=counted.additions,
        deletions=counted.deletions,
        start=start,
        end=end,
    )


def _kind(head: Sequence[str]) -> str:
    for line in head[1:]:
        for begin, kind in (
            ("new file", "added"),
            ("deleted file", "deleted"),
            ("rename from", "renamed"),
        ):
            if line.startswith(begin):
                return kind
    return "changed"


def _names(head: Sequence[str]) -> tuple[str | None, str | None]:
    """Before and after; git says them plainest in the lines after the first."""
    found: dict[str, str] = {}
    for line in head[1:]:
        for begin in ("--- ", "+++ ", "rename from ", "rename to ", "copy from ", "copy to "):
            if line.startswith(begin):
                found[begin] = _unquoted(line.removeprefix(begin).rstrip("\t"))
    old = found.get("rename from ") or found.get("copy from ") or _side(found.get("--- "), "a/")
    new = found.get("rename to ") or found.get("copy to ") or _side(found.get("+++ "), "b/")
    if old is None and new is None:
        first = head[0].removeprefix("diff --git ")
        half = _unquoted(first[len(first) // 2 + 1 :])  # both are the same, so each is one half
        new = half.removeprefix("b/")
    return old, new


def _side(name: str | None, prefix: str) -> str | None:
    return None if name is None or name == "/dev/null" else name.removeprefix(prefix)


def _unquoted(name: str) -> str:
    """git quotes names with unusual characters as C does."""
    if not (name.startswith('"') and name.endswith('"')):
        return name
    raw = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), name[1:-1])
    raw = raw.replace("\\t", "\t").replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return raw


def lines_of(diff: bytes, file: ChangedFile, *, limit: int) -> Iterator[DiffLine]:
    """The lines of one file, so many at most. Blocks for as long as they are many."""
    text = diff[file.start : file.end].decode("utf-8", "replace")
    at = text.find("\n@@ ")
    if at < 0:
        return
    language = language_of(file.path)
    old = new = 0
    for number, line in enumerate(text[at + 1 :].rstrip("\n").split("\n")):
        if number >= limit:
            return
        found = _HUNK.match(line)
        if found:
            old, new = int(found[1]), int(found[2])
            yield DiffLine(kind="hunk", old=None, new=None, tokens=_plain(line))
            continue
        sign, rest = line[:1], line[1:]
        if sign == "\\":
            yield DiffLine(kind="note", old=None, new=None, tokens=_plain(rest.strip()))
            continue
        kind = {"+": "add", "-": "del"}.get(sign, "same")
        yield DiffLine(
            kind=kind,
            old=old if kind != "add" else None,
            new=new if kind != "del" else None,
            tokens=tokens(_cut(rest), language),
        )
        old += kind != "add"
        new += kind != "del"


def _plain(line: str) -> Sequence[Token]:
    return (Token(kind="", text=visible(_cut(line))),)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … {len(line) - LONGEST_LINE} more characters"
