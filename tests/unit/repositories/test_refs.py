"""Heads and tags are read from git's own file, strictly: foreign code may have written it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from gitward.repositories.refs import HEADER, BadRefs, parse

ONE, TWO = b"1" * 40, b"2" * 40
ODD = [
    "refs/heads/-dash",
    "refs/heads/ünïcode",
    "refs/heads/a/b/c",
    "refs/heads/main.txt",
    "refs/heads/emoji-🎉",
    "refs/heads/$(id)",
    "refs/heads/`id`;rm",
    "refs/heads/HEAD",
    "refs/heads/refs/heads/main",
    "refs/heads/\udcff\udcfe",
    "refs/heads/%00'\"<>|&",
    "refs/tags/v1.0",
    "refs/heads/" + "x" * 200,
]


def git(folder: Path, *argv: str, stdin: bytes = b"") -> bytes:
    config = ("-c", "user.name=d", "-c", "user.email=d@example.org")
    return subprocess.run(["git", *config, *argv], cwd=folder, input=stdin, check=True, capture_output=True).stdout


def test_what_git_wrote_is_read(tmp_path: Path) -> None:
    """Odd names, and a tag of an object of its own."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    git(tmp_path, "tag", "-a", "-m", "x", "annotated")
    for name in ODD:
        git(tmp_path, "update-ref", name, "HEAD")
    git(tmp_path, "pack-refs", "--all")
    refs = parse((tmp_path / ".git/packed-refs").read_bytes())
    listed = git(tmp_path, "for-each-ref", "--format=%(refname) %(objectname)").decode("utf-8", "surrogateescape")
    assert [f"{name} {oid}" for name, oid in refs] == listed.splitlines()
    assert len(refs) == len(listed.splitlines())
    assert {name: refs.get(name) for name in ODD} == dict.fromkeys(ODD, head.decode())
    tag = refs.get("refs/tags/annotated")
    assert tag is not None
    assert tag != head.decode()


def test_only_whole_names_are_found() -> None:
    refs = parse(HEADER + ONE + b" refs/heads/main\n^" + TWO + b"\n" + TWO + b" refs/tags/main\n")
    assert refs.get("refs/heads/main") == ONE.decode()
    assert refs.get("refs/tags/main") == TWO.decode()
    for name in ("main", "heads/main", "refs/heads/mai", "refs/heads/main2", "sorted", "", "refs/heads/main\n", "^"):
        assert refs.get(name) is None
    assert refs.get(f"{ONE.decode()} refs/heads/main") is None


def test_a_repository_without_refs() -> None:
    for raw in (b"", HEADER):
        refs = parse(raw)
        assert (len(refs), list(refs), refs.get("refs/heads/main"), refs.oid_length) == (0, [], None, 40)


def test_ids_of_sha256_are_known() -> None:
    assert parse(HEADER + b"a" * 64 + b" refs/heads/main\n").oid_length == 64


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(ONE + b" refs/heads/main", id="cut"),
        pytest.param(ONE + b" refs/pull/1/head\n", id="neither head nor tag"),
        pytest.param(ONE + b" refs/replace/" + TWO + b"\n", id="replacement"),
        pytest.param(ONE + b" refs/heads/a b\n", id="blank"),
        pytest.param(ONE + b" refs/heads/a\0b\n", id="nul"),
        pytest.param(ONE + b" refs/heads/b\n" + ONE + b" refs/heads/a\n", id="not sorted"),
        pytest.param(ONE + b" refs/heads/a\n" + TWO + b" refs/heads/a\n", id="twice"),
        pytest.param(b"^" + ONE + b"\n", id="peeled alone"),
        pytest.param(ONE + b" refs/heads/a\n^" + ONE + b"\n^" + ONE + b"\n", id="peeled twice"),
        pytest.param(ONE + b" refs/heads/a\n" + b"a" * 64 + b" refs/heads/b\n", id="two lengths"),
        pytest.param(ONE[:39] + b"G refs/heads/a\n", id="no id"),
        pytest.param(b"# something else\n", id="another comment"),
        pytest.param(ONE + b" refs/heads/a\n" + HEADER, id="a comment in the middle"),
        pytest.param(b"ref: refs/heads/main\n", id="symbolic"),
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRefs):
        parse(raw)


async def test_many_refs_hold_nobody() -> None:
    """While 60,000 are read in a thread, the loop's own work goes on; one of them is found in no time."""
    raw = HEADER + b"".join(ONE + b" refs/tags/t%06d\n^" % number + TWO + b"\n" for number in range(60_000))
    best = []
    for _ in range(3):
        reading = asyncio.create_task(asyncio.to_thread(parse, raw))
        longest = 0.0
        while not reading.done():
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)
        best.append(longest)
    refs = await reading
    assert min(best) < 0.1
    before = time.thread_time()
    assert refs.get("refs/tags/t059999") == ONE.decode()
    assert time.thread_time() - before < 0.1
