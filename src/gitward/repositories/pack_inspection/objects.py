"""Parses the output of `git cat-file` from a sandbox into `Findings`: strictly, because foreign code may have written
it.

Every object is hashed here again. So a git that the pack took over can hide objects, which are then searched upstream,
but cannot invent one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitward.grants.inspection import FOLDER, MAX_NAMED, WORKFLOWS, BadPack, Entries, Entry, Findings

_HEAD = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (commit|tree|blob|tag) ([0-9]{1,10})")
_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")
_MODE = re.compile(rb"[0-7]{5,6}")
_MAX_NAMES = 16 * 1024  # characters of the names of one folder that are told: they must fit into a message


@dataclass(frozen=True, kw_only=True)
class PackObject:
    oid: str
    kind: str
    content: bytes


def questions(tip: str) -> tuple[str, ...]:
    """The names to ask `git cat-file --batch` for, in this order."""
    return (tip, f"{tip}^{{tree}}", f"{tip}:{FOLDER}", f"{tip}:{FOLDER}/{WORKFLOWS}")


def findings(tip: str, output: bytes) -> Findings:
    """What git printed for `questions(tip)`. Raises BadPack."""
    commit, root, folder, workflows = read_objects(output, questions(tip))
    if commit is None:
        return Findings()
    if commit.kind != "commit" or commit.oid != tip:
        raise BadPack("a branch must point to a commit")
    line = _TREE_LINE.match(commit.content)
    if line is None or len(line[1]) != len(tip):
        raise BadPack("the pushed commit is malformed")
    tree = line[1].decode()
    if root is None:
        return Findings(tree=tree)
    trees = {tree: _kept(root, tree, FOLDER)}
    top = _folder(trees[tree], FOLDER)
    if top is not None and folder is not None:
        trees[top] = _kept(folder, top, WORKFLOWS)
        inner = _folder(trees[top], WORKFLOWS)
        if inner is not None and workflows is not None:
            trees |= _if_small(inner, _kept(workflows, inner, None))
    return Findings(tree=tree, trees=trees)


def _folder(entries: Entries, name: str) -> str | None:
    """The object id of a folder in a folder."""
    entry = entries.get(name)
    return entry.oid if entry is not None and entry.is_folder else None


def _if_small(oid: str, entries: Entries) -> dict[str, Entries]:
    """They are told for a refusal's sentence only, which names the files."""
    small = len(entries) <= MAX_NAMED and sum(map(len, entries)) <= _MAX_NAMES
    return {oid: entries} if small else {}


def _kept(found: PackObject, oid: str, name: str | None) -> Entries:
    """The entry `name` of a folder, or all of them. Git must have printed the folder with this object id."""
    if found.kind != "tree" or found.oid != oid:
        raise BadPack("the pushed commit has malformed folders")
    kept: dict[str, Entry] = {}
    for each, entry in _entries(found.content, len(oid) // 2):
        if name is not None and each != name:
            continue
        if each in kept:
            raise BadPack(f"a folder of the pushed commit has the name {each[:50]!a} twice")
        kept[each] = entry
    return kept


def _entries(content: bytes, width: int) -> Iterator[tuple[str, Entry]]:
    position = 0
    while position < len(content):
        space = content.find(b" ", position)
        end = content.find(b"\0", space)
        mode, name = content[position:space], content[space + 1 : end]
        position = end + 1 + width
        if min(space, end) < 0 or position > len(content) or not _MODE.fullmatch(mode):
            raise BadPack("the pushed commit has malformed folders")
        if not name or b"/" in name:  # git itself finds `.github/workflows` by one entry of that name, too
            raise BadPack("the pushed commit has malformed folders")
        oid = content[end + 1 : position].hex()
        yield name.decode("utf-8", "backslashreplace"), Entry(mode=mode.decode().lstrip("0"), oid=oid)


def _is_id(oid: bytes, kind: bytes, content: bytes) -> bool:
    """Whether the object has this id."""
    whole = b"%s %d\0" % (kind, len(content)) + content
    digest = hashlib.sha1(whole, usedforsecurity=False) if len(oid) == 40 else hashlib.sha256(whole)
    return digest.hexdigest().encode() == oid


def read_objects(output: bytes, asked: Sequence[str]) -> list[PackObject | None]:
    """One answer for each question; None for what is missing."""
    found: list[PackObject | None] = []
    position = 0
    for question in asked:
        line, newline, _ = output[position : position + 200].partition(b"\n")
        position += len(line) + 1
        head = _HEAD.fullmatch(line)
        if head is None:
            if not newline or line != f"{question} missing".encode():
                raise BadPack("git cannot read this pack")
            found.append(None)
            continue
        content = output[position : position + int(head[3])]
        position += len(content) + 1
        if len(content) != int(head[3]) or not _is_id(head[1], head[2], content):
            raise BadPack("git cannot read this pack")
        found.append(PackObject(oid=head[1].decode(), kind=head[2].decode(), content=content))
    if position != len(output):
        raise BadPack("git cannot read this pack")
    return found
