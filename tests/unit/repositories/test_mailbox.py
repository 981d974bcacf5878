"""A mailbox gives back what was committed, by a plain `git am`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from gitward.repositories.mailbox import carry_returns

CONTENTS = {
    "crlf": b"one\r\ntwo\r\nthree\r\n",
    "a lone return": b"a\rb\nc\r",
    "latin 1": b"caf\xe9\r\n",
    "spaces at the end": b"x  \r\ny\t\nz =3D=\r\n",
    "a long line": b"x" * 5000 + b"\r\n",
    "no line break at the end": b"\r\nlast\r",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    config = ("-c", "user.name=Zoë O'Hara", "-c", "user.email=zoe@example.com", "-c", "init.defaultBranch=main")
    ended = subprocess.run(
        ["git", *config, "-C", str(folder), *arguments], input=stdin, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def made_of(tmp_path: Path, contents: dict[str, bytes]) -> tuple[Path, Path]:
    """A repository with a commit of these files, one of a plain file, and one that changes all; and a clone before."""
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    git(source, "init", "--quiet")
    git(source, "commit", "--quiet", "--allow-empty", "--message=start")
    git(tmp_path, "clone", "--quiet", str(source), str(clone))
    for name, content in contents.items():
        (source / name).write_bytes(content)
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message=Füge Zeilen hinzu")
    (source / "plain").write_bytes(b"plain\n")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message=plain")
    for name, content in contents.items():
        (source / name).write_bytes(b"before\r\n" + content)
    git(source, "commit", "--quiet", "--all", "--message=change\n\nwith a body")
    return source, clone


@pytest.mark.parametrize("name", CONTENTS)
def test_carriage_returns_survive_git_am(tmp_path: Path, name: str) -> None:
    source, clone = made_of(tmp_path, {name: CONTENTS[name]})
    mailbox = git(source, "format-patch", "--stdout", "--binary", "HEAD~3..HEAD")
    git(clone, "am", "--quiet", stdin=carry_returns(mailbox))
    assert git(clone, "rev-parse", "HEAD^{tree}") == git(source, "rev-parse", "HEAD^{tree}")
    told = "--format=%an %ae %at %s%n%b"
    assert git(clone, "log", told, "origin/HEAD..") == git(source, "log", told, "HEAD~3..")


def test_a_mailbox_without_returns_is_left_as_it_is(tmp_path: Path) -> None:
    source, _ = made_of(tmp_path, {"a": b"text \n"})
    mailbox = git(source, "format-patch", "--stdout", "HEAD~2..HEAD~1")
    assert carry_returns(mailbox) == mailbox


def test_a_long_mailbox_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    """A file of 10 MiB with one carriage return took seconds, in one piece that kept everything else waiting."""
    line = "é".encode() * 60 + b"\n"
    head = b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\nSubject: x\n\n"
    seconds = []
    for count in (20_000, 80_000):
        mailbox = head + b"\r\n" + line * count
        best = min(_cpu_seconds(mailbox) for _ in range(3))
        seconds.append(best)
    assert seconds[1] < 0.5
    assert seconds[1] < 4 * 3 * max(seconds[0], 0.002)


def test_many_lines_that_look_like_beginnings_take_no_longer(tmp_path: Path) -> None:
    head = b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\nSubject: x\n\n"
    assert min(_cpu_seconds(head + b"\r\n" + b"From x\n" * 100_000) for _ in range(3)) < 0.5


def _cpu_seconds(mailbox: bytes) -> float:
    began = time.thread_time()
    carry_returns(mailbox)
    return time.thread_time() - began
