"""The file `.env` of the working folder: for secrets that are not exported, and for nothing else.

A person who can write this file could otherwise redirect tokens. So Gitward reads it only where nobody else can write
it, and refuses anything in it that is not a secret.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping

from dotenv import dotenv_values

from gitward.errors import GitwardError

NAME = ".env"
MOST_BYTES = 64 * 1024
# The token, the keys of the usual model providers, and the secret of a sign-in by OpenID Connect.
SECRETS = ("GITHUB_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GITWARD_OIDC_CLIENT_SECRET")
_OURS = ("GITHUB_", "GH_", "GITWARD_")  # GITWARD_INJECT cannot make secrets of them
_VARIABLE = re.compile(r"(?<!\S)[A-Z_][A-Z0-9_]*(?!\S)")
_MOST_TOLD = 20


class NotTrusted(GitwardError):
    """The file is there, and is not read. The text goes on after its name and says what to do."""


def values() -> dict[str, str]:
    """What stands in the file; nothing when there is none. Blocks on a small file.

    :raises NotTrusted: somebody else may write it.
    :raises OSError, UnicodeDecodeError: it cannot be read.
    """
    text = _text()
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def problems(inject: str) -> list[str]:
    """One sentence for each name that may not stand there. Raises as `values` does.

    :param inject: GITWARD_INJECT as it is exported.
    """
    allowed = {*SECRETS, *_injected(inject)}
    wrong = [name for name in values() if name not in allowed]
    return [
        f"{NAME}: {_shown(name)} is not allowed in this file, export it: the file is for {', '.join(SECRETS)} and "
        "for variables that the exported GITWARD_INJECT names"
        for name in wrong[:_MOST_TOLD]
    ]


def used(exported: Mapping[str, str]) -> list[str]:
    """The names whose values come from the file: those that are not exported. Raises as `values` does."""
    return [name for name, value in values().items() if value and not exported.get(name, "").strip()]


def _injected(inject: str) -> set[str]:
    entries = (entry.partition("=")[2] for entry in inject.split(";"))
    return {name for entry in entries for name in _VARIABLE.findall(entry) if not name.startswith(_OURS)}


def _shown(name: str) -> str:
    return name[:60] if name.isascii() and name.isprintable() else "an invalid name"


def _text() -> str:
    with _opened() as fd:
        if fd is None:
            return ""
        content = b""
        while piece := os.read(fd, MOST_BYTES + 1 - len(content)):
            content += piece
    if len(content) > MOST_BYTES:
        raise NotTrusted(f"is longer than {MOST_BYTES} bytes; it is for secrets alone")
    return content.decode()


@contextlib.contextmanager
def _opened() -> Iterator[int | None]:
    """What is looked at is what is read: folder and file are held open."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Not blocking: a pipe of that name would hold the process for ever.
        fd = os.open(NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        os.close(folder)
        yield None
        return
    except BaseException:
        os.close(folder)
        raise
    try:
        _check(os.fstat(folder), os.fstat(fd))
        yield fd
    finally:
        os.close(fd)
        os.close(folder)


def _check(folder: os.stat_result, file: os.stat_result) -> None:
    """:raises NotTrusted: somebody else may write the file, or put another in its place."""
    mine = os.geteuid()
    if not stat.S_ISREG(file.st_mode):
        raise NotTrusted("is not a file; remove it")
    if file.st_uid != mine:
        raise NotTrusted(
            "belongs to another user than the service's, so it is not read; remove it, or make it your own"
        )
    if file.st_mode & 0o022:
        raise NotTrusted(f"may be written by others, so it is not read; run: chmod go-w {NAME}")
    if folder.st_uid not in {mine, 0} or folder.st_mode & 0o022:
        raise NotTrusted(
            "lies in a folder that others may write, so it is not read; start in a folder of your own, or run: "
            "chmod go-w ."
        )
