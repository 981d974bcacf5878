"""/repos/{owner}/{repo}/git/trees/{sha}: one folder as git keeps it."""

from __future__ import annotations

from gitward_standin import history
from gitward_standin.model import Repository
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found
from gitward_standin.rest.refs import EMPTY


async def get(call: Call) -> Answer:
    """`sha` may be a tree's, a commit's, or a branch's name; `recursive` lists everything below."""
    repository = call.repository()
    if not await repository.branches():
        raise ApiError(409, EMPTY)
    found = await history.resolve(repository, f"{call.params['sha']}^{{tree}}")
    if found is None:
        raise not_found()
    below = ("-r", "-t") if call.query.get("recursive") else ()
    listing = (await repository.run_git("ls-tree", "-z", "-l", *below, found.sha)).decode(errors="replace")
    entries = [_entry(call, repository, line) for line in listing.split("\0") if line]
    return Answer(
        payload={
            "sha": found.sha,
            "url": _url(call, repository, "trees", found.sha),
            "tree": entries,
            "truncated": False,
        }
    )


def _entry(call: Call, repository: Repository, line: str) -> Json:
    """`line`: "100644 blob <sha>     size\\tname", of `git ls-tree -l`."""
    about, _, path = line.partition("\t")
    mode, kind, sha, size = about.split()
    entry = {"path": path, "mode": mode, "type": kind, "sha": sha}
    if kind == "commit":
        return entry  # a submodule: what it points to is in another repository
    sized = {"size": int(size)} if kind == "blob" else {}
    return {**entry, **sized, "url": _url(call, repository, f"{kind}s", sha)}


def _url(call: Call, repository: Repository, *parts: str) -> str:
    return call.site.links.api("repos", repository.owner.login, repository.name, "git", *parts)
