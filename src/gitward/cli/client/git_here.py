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


def repository() -> str | None:
    """`owner/name` by the remote `origin`, or by the only remote; None outside of such a clone."""
    names = _git("remote", must=False).split()
    name = "origin" if "origin" in names else names[0] if len(names) == 1 else None
    if name is None:
        return None
    written = _git("config", "--get", f"remote.{name}.url", must=False).strip()
    # As it is written, or as the user's rules (insteadOf) turn it.
    return repository_of(written) or repository_of(_git("remote", "get-url", "--", name, must=False).strip())


def repository_of(url: str) -> str | None:
    """What a remote's address names; None for what is no repository of a server."""
    match = _REMOTE.fullmatch(url)
    return f"{match['owner']}/{match['name']}" if match else None


def required(repo: str) -> None:
    """:raises ClientError: this folder is no clone of it."""
    here = repository()
    if here is None or here.lower() != repo.lower():
        found = f"this folder is a clone of {here}" if here else "this folder is no clone of a repository"
        raise refused(f"{found}; run this command in a clone of {repo}")


def remote_branch(branch: str) -> str | None:
    """The commit of a branch at `origin`, now fetched; None when it is not there."""
    listed = _git("ls-remote", "--heads", "--", "origin", f"refs/heads/{branch}").split()
    if not listed:
        return None
    _git("fetch", "--no-tags", "--", "origin", f"refs/heads/{branch}")
    return _git("rev-parse", "--verify", "FETCH_HEAD").strip()


def fetch_bundle(bundle: Path) -> str:
    """The commit that the bundle is about, fetched."""
    _git("fetch", "--no-tags", "--", "origin")  # a bundle builds on commits that upstream has
    _git("fetch", "--no-tags", "--", str(bundle))
    return _git("rev-parse", "--verify", "FETCH_HEAD").strip()


def switch(name: str, commit: str) -> None:
    """Makes the local branch, or moves it forward when nothing of its own would be lost."""
    if name.startswith("-"):
        raise refused(f"{name} is no name of a branch")
    existing = _git("rev-parse", "--verify", "--quiet", f"refs/heads/{name}", must=False).strip()
    if not existing:
        _git("switch", "--quiet", "--create", name, commit)
        return
    _git("switch", "--quiet", name)
    _git("merge", "--quiet", "--ff-only", commit)


def apply(patch: bytes) -> None:
    """Lays a patch on the work tree and the index."""
    _git("apply", "--3way", "--whitespace=nowarn", "-", given=patch)


def _git(*arguments: str, must: bool = True, given: bytes | None = None) -> str:
    try:
        done = subprocess.run(["git", *arguments], input=given, capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        raise refused("git is not installed, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise ClientError(f"git {arguments[0]} took longer than {_SECONDS} seconds", exit=Exit.FAILED) from None
    if done.returncode != 0 and must:
        why = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise ClientError(f"git {arguments[0]}: {why}", exit=Exit.FAILED)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
