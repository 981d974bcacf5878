"""Merges, and commits and refs made over the API: the ways around a push, each of which GitHub offers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitward_standin.accounts import Account
from gitward_standin.changes import Unprocessable
from gitward_standin.clock import now
from gitward_standin.model import PullRequest, Repository
from gitward_standin.plumbing import GitFailed

_SHA = re.compile(r"[0-9a-f]{40}")


async def merge(pull: PullRequest, *, by: Account) -> str:
    """Merges with a merge commit, which is returned. Raises Unprocessable."""
    repository = pull.repository
    if pull.state != "open" or pull.draft:
        raise Unprocessable("Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable")
    run = repository.run_git
    base = await repository.head(pull.base)
    if base is None:
        raise Unprocessable("Base branch was deleted")
    try:
        tree = (await run("merge-tree", "--write-tree", base, pull.head_sha)).decode().strip()
    except GitFailed as error:
        raise Unprocessable("Pull Request has merge conflicts") from error
    message = f"Merge pull request #{pull.number} from {repository.owner.login}/{pull.head}\n\n{pull.title}"
    parents = ("-p", base, "-p", pull.head_sha)
    sha = (await run("commit-tree", tree, *parents, "-m", message)).decode().strip()
    await run("update-ref", f"refs/heads/{pull.base}", sha, base)
    pull.close()
    pull.merged_at, pull.merged_by, pull.merge_sha = now(), by, sha
    return sha


async def create_ref(repository: Repository, ref: str, sha: str) -> None:
    """Raises Unprocessable."""
    if await repository.resolve(ref) is not None:
        raise Unprocessable("Reference already exists")
    await _update(repository, ref, sha, "0" * 40)


async def update_ref(repository: Repository, ref: str, sha: str) -> None:
    """Sets a ref, forced or not. Raises Unprocessable."""
    old = await repository.resolve(ref)
    if old is None:
        raise Unprocessable("Reference does not exist")
    await _update(repository, ref, sha, old)


async def delete_ref(repository: Repository, ref: str) -> None:
    """Raises Unprocessable."""
    if await repository.resolve(ref) is None:
        raise Unprocessable("Reference does not exist")
    await repository.run_git("update-ref", "-d", ref)
    await repository.follow_pushes()


async def commit(
    repository: Repository,
    branch: str,
    message: str,
    *,
    additions: Mapping[str, bytes],
    deletions: Sequence[str] = (),
    expected_head: str | None = None,
) -> str:
    """Commits on a branch, and returns the commit. Raises Unprocessable."""
    head = await repository.head(branch)
    if expected_head is not None and head != expected_head:
        raise Unprocessable(f'Expected branch to point to "{expected_head}" but it did not. Pull and try again.')
    return await repository.commit(branch, additions, message=message, deletions=deletions)


async def _update(repository: Repository, ref: str, sha: str, old: str) -> None:
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        raise Unprocessable("Reference name must be a branch or a tag")
    if not _SHA.fullmatch(sha):
        raise Unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
    try:
        await repository.run_git("update-ref", "--end-of-options", ref, sha, old)
    except GitFailed as error:
        raise Unprocessable("Object does not exist") from error
    await repository.follow_pushes()
