"""The clone in the current folder: which repository it is, and work brought into it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from gitward.cli.client.errors import ClientError, refused
from gitward.errors import Exit

_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?[^/:]+(?::\d+)?/|(?:[^@/\s]+@)?[^/:\s]+:)"
    r"(?P<owner>[A-Za-z0-9][A-Za-z0-9-]*)/(?P<name>[A-Za-z0-9._-]+?)(?:\.git)?/?"
)
_SECONDS = 600
ORIGIN = "origin"


def repository() -> str | None:
    """`owner/name` by the remote `origin`, or by the only remote; None outside of such a clone."""
    names = _remotes()
    name = ORIGIN if ORIGIN in names else names[0] if len(names) == 1 else None
    return None if name is None else _repository_at(name)


def _remotes() -> list[str]:
    return _git("remote", must=False).split()


def _repository_at(remote: str) -> str | None:
    """Of a remote, as its address is written, or as the user's rules (insteadOf) turn it."""
    written = _git("config", "--get", f"remote.{remote}.url", must=False).strip()
    return repository_of(written) or repository_of(_git("remote", "get-url", "--", remote, must=False).strip())


def repository_of(url: str) -> str | None:
    """What a remote's address names; None for what is no repository of a server."""
    match = _REMOTE.fullmatch(url)
    return f"{match['owner']}/{match['name']}" if match else None


def required(repo: str) -> str:
    """The remote that is this repository, whatever it is called: beside a fork there are several.

    :raises ClientError: this folder is no clone of it.
    """
    remotes = {name: _repository_at(name) for name in _remotes()}
    for name in sorted(remotes, key=lambda name: name != ORIGIN):
        if (remotes[name] or "").lower() == repo.lower():
            return name
    here = ", ".join(sorted(found for found in remotes.values() if found))
    found = f"this folder is a clone of {here}" if here else "this folder is not a clone of a repository"
    raise refused(f"{found}; run this command in a clone of {repo}")


def remote_branch(remote: str, branch: str) -> str | None:
    """The commit of a branch at the remote, now fetched; None when it is not there."""
    listed = _git("ls-remote", "--heads", "--", remote, f"refs/heads/{branch}").split()
    if not listed:
        return None
    _git("fetch", "--no-tags", "--", remote, f"refs/heads/{branch}")
    return _git("rev-parse", "--verify", "FETCH_HEAD").strip()


def fetch_bundle(remote: str, bundle: Path) -> str:
    """The commit that the bundle is about, fetched."""
    _git("fetch", "--no-tags", "--", remote)  # a bundle builds on commits that upstream has
    _git("fetch", "--no-tags", "--", str(bundle))
    return _git("rev-parse", "--verify", "FETCH_HEAD").strip()


def switch(name: str, commit: str) -> None:
    """Makes the local branch, or moves it forward when nothing of its own would be lost.

    :raises ClientError: it went another way. Nothing has changed then.
    """
    if name.startswith("-"):
        raise refused(f"{name} is no name of a branch")
    existing = _git("rev-parse", "--verify", "--quiet", f"refs/heads/{name}", must=False).strip()
    if not existing:
        _git("switch", "--quiet", "--create", name, commit)
        return
    if not _is_ancestor(existing, commit) and not _is_ancestor(commit, existing):
        raise ClientError(
            f"your branch {name} has commits that the session's has not, and lacks some of it; give yours another "
            f"name and try again: git branch -m {name} {name}-mine",
            exit=Exit.FAILED,
        )
    _git("switch", "--quiet", name)
    _git("merge", "--quiet", "--ff-only", commit)


def apply(patch: bytes) -> None:
    """Lays a patch on the work tree and the index. All of it: in a folder inside, git would leave out the rest."""
    top = _git("rev-parse", "--show-toplevel").removesuffix("\n")
    _git("apply", "--3way", "--whitespace=nowarn", "-", given=patch, folder=top)


def _is_ancestor(commit: str, of: str) -> bool:
    """Whether all that the one has is in the other."""
    return _git("rev-list", "--max-count=1", commit, f"^{of}").strip() == ""


def _git(*arguments: str, must: bool = True, given: bytes | None = None, folder: str | None = None) -> str:
    argv = ["git", *arguments]
    try:
        done = subprocess.run(argv, input=given, capture_output=True, timeout=_SECONDS, check=False, cwd=folder)
    except FileNotFoundError:
        raise refused("git is not installed, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise ClientError(f"git {arguments[0]} took longer than {_SECONDS} seconds", exit=Exit.FAILED) from None
    if done.returncode != 0 and must:
        why = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise ClientError(f"git {arguments[0]}: {why}", exit=Exit.FAILED)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
