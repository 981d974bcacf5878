"""Detects LFS files in a fresh checkout without git, by the attributes files in its index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gitward.repositories import foreign_folder
from gitward.repositories.checkout import REPO

_NAME = b".gitattributes"
_MOST_INDEX = 128 * 1024 * 1024  # bytes
_MOST_FILES = 1000  # of attributes
_MOST_TEXT = 1024 * 1024  # bytes of one of them; git takes no more than 100 MB
_WANTED = b"filter=lfs"


class _Unclear(Exception):
    """Only git can tell."""


def is_used(work: Path) -> bool:
    """Whether an attribute of the checkout may name the filter. Blocks. True when only git can tell."""
    with foreign_folder.opened(work / REPO) as tree:
        index = tree.read(".git/index", _MOST_INDEX)
        if index is None:
            return tree.has(".git/index")
        try:
            for number, path in enumerate(_attribute_files(index)):
                if number >= _MOST_FILES or _names_filter(tree, path.decode("utf-8", "surrogateescape")):
                    return True
        except _Unclear:
            return True
    return False


def _names_filter(tree: foreign_folder.Tree, path: str) -> bool:
    status = tree.status(path)
    text = tree.read(path, _MOST_TEXT)
    return _WANTED in text if text is not None else status is not None and status.st_size > _MOST_TEXT


def _attribute_files(index: bytes) -> Iterator[bytes]:
    """The paths named `.gitattributes` in an index of version 2, in which each name ends with a zero byte.

    Two bytes stand before a name: flags and its length. The first is zero for a name of less than 256 bytes.
    """
    end = index.find(_NAME + b"\0")
    while end >= 0:
        end += len(_NAME)
        start = index.rfind(b"\0", 0, end) + 2
        name = index[start:end]
        if index[:8] != b"DIRC\0\0\0\2" or index[start - 1] != len(name):
            raise _Unclear
        if name == _NAME or name.endswith(b"/" + _NAME):
            yield name
        end = index.find(_NAME + b"\0", end)
