"""A mailbox gives back what was committed, by a plain `git am`."""

from __future__ import annotations

import subprocess
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
