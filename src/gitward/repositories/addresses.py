"""The same commits with another e-mail address: authors and committers change, trees, messages and dates stay."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitward.repositories.git import LISTING_BYTES, CommandResult, GitFailed
from gitward.repositories.result import RESULT_DIR, Result

MOST = 1000  # commits
_AT_ONCE = 100  # that are read
_MOST_BYTES = 16 * 1024 * 1024  # of those that are read at once
_FOLDER = "commits"
_HEAD = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) commit ([0-9]{1,10})")
_SIGNED = re.compile(rb"(author|committer) (.*)<([^<>]*)>(.*)", re.DOTALL)
_SIGNATURES = (b"gpgsig", b"gpgsig-sha256", b"mergetag")  # they hold for what was signed, and for nothing else


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Which addresses are replaced."""

    old: frozenset[str]  # in lower case
    new: str


async def replace_addresses(
    res: Result, place: Path, head: str, *, upstream: Iterable[str], exchange: Exchange
) -> str | None:
    """The commit that stands for `head`, with its ancestors as far as they are not upstream.

    None: none of them has such an address, or they are more than `MOST`. Signatures of what changes are dropped.

    :param place: of the result, outside.
    :raises GitFailed: git cannot read or write them.
    """
    oids = await _listed(res, head, upstream)
    if len(oids) > MOST:
        return None
    renamed: dict[str, str] = {}
    written: dict[str, bytes] = {}
    for number in range(0, len(oids), _AT_ONCE):
        asked = oids[number : number + _AT_ONCE]
        told = await res.bare.do("cat-file", "--batch", stdin=_lines(asked), limit=_MOST_BYTES)
        written |= await asyncio.to_thread(_rewrite, told, asked, renamed, exchange)
    if not written:
        return None
    await _write(res, place, written)
    return renamed.get(head)


async def _listed(res: Result, head: str, upstream: Iterable[str]) -> Sequence[str]:
    """Parents first."""
    asked = await asyncio.to_thread(lambda: _lines([head, *(f"^{oid}" for oid in upstream)]))
    listed = await res.bare.do(
        *("rev-list", "--topo-order", f"--max-count={MOST + 1}", "--ignore-missing", "--stdin"),
        stdin=asked,
        limit=LISTING_BYTES,
    )
    return listed.decode().split()[::-1]


def _lines(values: Iterable[str]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()


def _rewrite(told: bytes, asked: Sequence[str], renamed: dict[str, str], exchange: Exchange) -> dict[str, bytes]:
    """What the changed ones among these look like, by their new names, which `renamed` gets."""
    written: dict[str, bytes] = {}
    for oid, content in _contents(told, asked):
        changed = _changed(content, renamed, exchange)
        if changed != content:
            renamed[oid] = _name(changed, len(oid))
            written[renamed[oid]] = changed
    return written


def _contents(told: bytes, asked: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    position = 0
    for oid in asked:
        line, _, _ = told[position : position + 200].partition(b"\n")
        found = _HEAD.fullmatch(line)
        if found is None or found[1].decode() != oid:
            raise GitFailed(CommandResult(exit_code=0, tail=f"git cannot read the commit {oid}"))
        begin = position + len(line) + 1
        content = told[begin : begin + int(found[2])]
        if _name(content, len(oid)) != oid:
            raise GitFailed(CommandResult(exit_code=0, tail=f"git printed something else than the commit {oid}"))
        yield oid, content
        position = begin + len(content) + 1


def _name(content: bytes, length: int) -> str:
    whole = b"commit %d\0" % len(content) + content
    digest = hashlib.sha1(whole, usedforsecurity=False) if length == 40 else hashlib.sha256(whole)
    return digest.hexdigest()


def _changed(content: bytes, renamed: Mapping[str, str], exchange: Exchange) -> bytes:
    head, blank, message = content.partition(b"\n\n")
    lines = _headers(head)
    new = [_header(line, renamed, exchange) for line in lines]
    if new == lines:
        return content
    return b"\n".join(line for line in new if not line.startswith(_SIGNATURE_STARTS)) + blank + message


_SIGNATURE_STARTS = tuple(name + b" " for name in _SIGNATURES)


def _headers(head: bytes) -> list[bytes]:
    """Each with the lines that continue it, which begin with a space."""
    return re.split(rb"\n(?! )", head)


def _header(line: bytes, renamed: Mapping[str, str], exchange: Exchange) -> bytes:
    if line.startswith(b"parent "):
        old = line.removeprefix(b"parent ").decode("ascii", "replace")
        return b"parent " + renamed[old].encode() if old in renamed else line
    found = _SIGNED.fullmatch(line)
    if found is None or found[3].strip().decode("utf-8", "replace").lower() not in exchange.old:
        return line
    return b"%s %s<%s>%s" % (found[1], found[2], exchange.new.encode(), found[4])


async def _write(res: Result, place: Path, written: Mapping[str, bytes]) -> None:
    await asyncio.to_thread(_put, place / _FOLDER, list(written.values()))
    paths = _lines(f"{RESULT_DIR}/{_FOLDER}/{number}" for number in range(len(written)))
    made = await res.bare.do("hash-object", "-w", "-t", "commit", "--stdin-paths", stdin=paths, limit=LISTING_BYTES)
    if made.decode().split() != list(written):
        raise GitFailed(CommandResult(exit_code=0, tail="git wrote other commits than it was given"))


def _put(folder: Path, contents: Sequence[bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o755)
    for number, content in enumerate(contents):
        path = folder / str(number)
        path.write_bytes(content)
        path.chmod(0o644)
