"""What an agent remembers of a session, as one value: the conversation's id and its files, packed for the database.

The files come out of a sandbox. An archive has regular files only, with names that its reader checks again: there is no
way to tell it of a link, an owner or a mode.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FORM = 1
MOST_FILES = 200
MOST_BYTES = 32 * 1024 * 1024  # of all files together
MOST_PACKED = 10 * 1024 * 1024
_NAME_BYTES = 400
_HEADER_BYTES = 256 * 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_FAST = 1  # of zlib: transcripts are short and compress well


class WrongArchive(ValueError):
    """It is not one of ours, or holds more than it may."""


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """One file of a conversation."""

    path: str  # below the agent's own folder
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A conversation, as it is kept between runs."""

    agent: str
    conversation: str  # the agent's own id of it
    files: tuple[KeptFile, ...]


def is_usable_id(conversation: str) -> bool:
    """Whether an agent's id of a conversation is told to it again; another one is nobody's id."""
    return _ID.fullmatch(conversation) is not None


def is_kept(path: str, globs: Sequence[str]) -> bool:
    """Whether a path below the agent's folder is one that the globs name: `**` stands for any folders, `*` for a name.

    A path that could lead elsewhere is none.
    """
    parts = path.split("/")
    if len(path.encode("utf-8", "surrogateescape")) > _NAME_BYTES or not path.isprintable():
        return False
    if any(part in {"", ".", ".."} for part in parts):
        return False
    return any(_pattern(glob).fullmatch(path) for glob in globs)


def _pattern(glob: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*)", glob)
    known = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    return re.compile("".join(known.get(piece) or re.escape(piece) for piece in pieces))


def pack(archive: Archive) -> bytes:
    """:raises WrongArchive: there is more than may be kept. Blocks for as long as so many bytes take to compress."""
    if len(archive.files) > MOST_FILES or sum(len(each.content) for each in archive.files) > MOST_BYTES:
        raise WrongArchive(f"more than {MOST_FILES} files or {MOST_BYTES // 2**20} MiB")
    header = {
        "form": FORM,
        "agent": archive.agent,
        "conversation": archive.conversation,
        "files": [[each.path, len(each.content)] for each in archive.files],
    }
    packer = zlib.compressobj(_FAST)
    pieces = [packer.compress(json.dumps(header).encode() + b"\n")]
    pieces += [packer.compress(each.content) for each in archive.files]
    packed = b"".join([*pieces, packer.flush()])
    if len(packed) > MOST_PACKED:
        raise WrongArchive(f"more than {MOST_PACKED // 2**20} MiB when packed")
    return packed


def unpack(packed: bytes, globs: Sequence[str]) -> Archive:
    """Nothing is written anywhere. Names that the globs do not allow, and sizes beyond the limits, make it wrong.

    :raises WrongArchive: whatever is wrong with it.
    """
    data = _inflated(packed)
    end = data.find(b"\n", 0, _HEADER_BYTES)
    if end < 0:
        raise WrongArchive("no header")
    try:
        header = json.loads(data[:end])
    except (ValueError, RecursionError) as error:
        raise WrongArchive("its header is no JSON") from error
    return _read(header, data, end + 1, globs)


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, MOST_BYTES + _HEADER_BYTES)
    except zlib.error as error:
        raise WrongArchive("it is not compressed as ours are") from error
    if not unpacker.eof or unpacker.unused_data:
        raise WrongArchive("it is cut, or longer than it may be")
    return data


def _read(header: Any, data: bytes, offset: int, globs: Sequence[str]) -> Archive:
    if not isinstance(header, dict) or header.get("form") != FORM:
        raise WrongArchive("another form than ours")
    agent, conversation, listed = header.get("agent"), header.get("conversation"), header.get("files")
    if not isinstance(agent, str) or not isinstance(conversation, str) or not is_usable_id(conversation):
        raise WrongArchive("no agent, or no id")
    if not isinstance(listed, list) or len(listed) > MOST_FILES:
        raise WrongArchive("no list of files, or too many")
    files: dict[str, KeptFile] = {}
    for each in listed:
        path, size = _entry(each, globs)
        content = data[offset : offset + size]
        if path in files or len(content) != size:
            raise WrongArchive("a file twice, or cut")
        files[path] = KeptFile(path=path, content=content)
        offset += size
    if offset != len(data):
        raise WrongArchive("more than its files")
    return Archive(agent=agent, conversation=conversation, files=tuple(files.values()))


def _entry(each: Any, globs: Sequence[str]) -> tuple[str, int]:
    if not isinstance(each, list) or len(each) != 2:
        raise WrongArchive("a file without name and size")
    path, size = each
    if not isinstance(path, str) or type(size) is not int or not 0 <= size <= MOST_BYTES:
        raise WrongArchive("a file without name and size")
    if not is_kept(path, globs):
        raise WrongArchive("a name that is no file of a conversation")
    return path, size
