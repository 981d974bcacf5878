"""A bare git folder, and what is read from it and committed to it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitward_standin.plumbing import Git

_OBJECT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")


@dataclass(kw_only=True, eq=False)
class GitFolder:
    path: Path
    git: Git

    async def run_git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """git in the bare folder: its standard output. Raises GitFailed."""
        return await self.git.run(*arguments, cwd=self.path, stdin=stdin)

    async def head(self, branch: str) -> str | None:
        """The commit at a branch's tip; None when there is no such branch."""
        return await self.resolve(f"refs/heads/{branch}")

    async def resolve(self, ref: str) -> str | None:
        """The object of exactly this full ref; None when there is none."""
        if "\0" in ref:
            return None
        if _is_plain(ref):  # a ref with a file of its own, as nearly all have, needs no process to be read
            text = _text(self.path / ref)
            if text is None and not (self.path / "packed-refs").exists():
                return None
            if text is not None and _OBJECT.fullmatch(text):
                return text.strip()
        return (await self.refs(ref)).get(ref)

    async def branches(self) -> dict[str, str]:
        """Every branch with its commit, in git's order."""
        refs = await self.refs("refs/heads")
        return {ref.removeprefix("refs/heads/"): sha for ref, sha in refs.items()}

    async def refs(self, pattern: str) -> dict[str, str]:
        """The refs below `pattern`, or exactly of that name, each with its object."""
        listing = await self.run_git("for-each-ref", "--format=%(objectname) %(refname)", pattern)
        lines = (line.split(" ", 1) for line in listing.decode().splitlines())
        return {ref: sha for sha, ref in lines}

    async def commits_between(self, base: str, head: str) -> int:
        """How many commits `head` has that `base` has not."""
        return int(await self.run_git("rev-list", "--count", head, f"^{base}"))

    async def add_commit(
        self, branch: str, files: Mapping[str, str | bytes], deletions: Sequence[str], message: str, tip: str | None
    ) -> None:
        """Commits files on a branch, after the commit `tip` if there is one."""
        await self.run_git("fast-import", "--quiet", stdin=_stream(branch, files, deletions, message, tip))


def make_bare(path: Path, default_branch: str) -> None:
    """What `git init --bare --template=` makes, without a process: tests make a repository each."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (path / folder).mkdir(parents=True)
    (path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n")
    (path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")


def _is_plain(ref: str) -> bool:
    """Whether a file of this name, if there is one, is this ref."""
    return ref.startswith("refs/") and not {"", ".", ".."} & set(ref.split("/"))


def _text(path: Path) -> str | None:
    """None when there is no such file; empty when it is no text of git's."""
    try:
        return path.read_text("ascii")
    except OSError:
        return None
    except ValueError:
        return ""


def _stream(
    branch: str, files: Mapping[str, str | bytes], deletions: Sequence[str], message: str, tip: str | None
) -> bytes:
    """One commit in the language of `git fast-import`."""
    text = message.encode()
    out = [
        f"commit refs/heads/{branch}\ncommitter GitHub <noreply@github.com> {int(time.time())} +0000\n".encode(),
        b"data %d\n%s\n" % (len(text), text),
        f"from {tip}\n".encode() if tip else b"",
    ]
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        out.append(f'M 100644 inline "{_quoted(path)}"\n'.encode() + b"data %d\n%s\n" % (len(data), data))
    out += [f'D "{_quoted(path)}"\n'.encode() for path in deletions]
    return b"".join(out)


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
