"""/repos/{owner}/{repo}/commits, compare and contents: what is in git, told as JSON."""

from __future__ import annotations

import base64

from gitward_standin import history
from gitward_standin.clock import timestamp
from gitward_standin.model import Repository
from gitward_standin.node_ids import encode
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found
from gitward_standin.rest.pages import page

README = ("README.md", "README", "readme.md", "README.rst", "docs/README.md")


async def index(call: Call) -> Answer:
    """The commits of `sha` (a branch or commit; the default branch), newest first."""
    repository = call.repository()
    start = await history.commit(repository, call.query.get("sha") or repository.default_branch)
    if start is None:
        raise ApiError(409, "Git Repository is empty.") if not await repository.branches() else not_found()
    return page(call, [represented(call, commit) for commit in await history.commits(repository, start.sha)])


async def get(call: Call) -> Answer:
    """A commit; its diff or its patch when Accept asks for that."""
    repository = call.repository()
    commit = await find(call, repository)
    parent = commit.parents[0] if commit.parents else None
    for form, read in (("diff", history.diff), ("patch", history.patch)):
        if f".{form}" in call.accept and parent is not None:
            content_type = f"application/vnd.github.v3.{form}; charset=utf-8"
            return Answer(
                text=await read(repository, parent, commit.sha),
                headers={"Content-Type": content_type},
            )
    files = await history.changed_files(repository, parent, commit.sha) if parent else []
    changed = [{"filename": file.path, "status": file.status, "sha": file.sha, "patch": file.patch} for file in files]
    return Answer(payload={**represented(call, commit), "files": changed})


async def compare(call: Call) -> Answer:
    """compare/{base}...{head}; the diff when Accept asks for it."""
    repository = call.repository()
    base_name, _, head_name = call.params["basehead"].partition("...")
    base, head = await history.commit(repository, base_name), await history.commit(repository, head_name)
    if base is None or head is None:
        raise not_found()
    if ".diff" in call.accept:
        text = await history.diff(repository, base.sha, head.sha)
        return Answer(text=text, headers={"Content-Type": "application/vnd.github.v3.diff; charset=utf-8"})
    ahead = await history.commits(repository, f"{base.sha}..{head.sha}")
    behind = await repository.commits_between(head.sha, base.sha)
    status = ("diverged" if ahead else "behind") if behind else ("ahead" if ahead else "identical")
    return Answer(
        payload={
            "base_commit": represented(call, base),
            "status": status,
            "ahead_by": len(ahead),
            "behind_by": behind,
            "total_commits": len(ahead),
            "commits": [represented(call, commit) for commit in reversed(ahead)],
        }
    )


async def readme(call: Call) -> Answer:
    repository = call.repository()
    for path in README:
        if await history.resolve(repository, f"{call.query.get('ref') or repository.default_branch}:{path}"):
            return await _content(call, repository, path)
    raise not_found()


async def contents(call: Call) -> Answer:
    return await _content(call, call.repository(), call.params.get("path", ""))


async def _content(call: Call, repository: Repository, path: str) -> Answer:
    """A file (raw when Accept asks for that) or the list of a folder."""
    ref = call.query.get("ref") or repository.default_branch
    if not await repository.branches():
        raise ApiError(404, "This repository is empty.")
    found = await history.read(repository, f"{ref}:{path}")
    if not isinstance(found, history.GitObject):
        raise not_found()
    if found.typename == "Tree":
        return Answer(payload=[_entry(call, repository, path, line) for line in found.content.split(b"\0") if line])
    if ".raw" in call.accept:
        headers = {"Content-Type": "application/vnd.github.raw; charset=utf-8"}
        return Answer(text=found.content.decode(errors="replace"), headers=headers)
    encoded = base64.encodebytes(found.content).decode()
    shown = _described(call, repository, path, "file", found.sha)
    return Answer(payload={**shown, "size": len(found.content), "content": encoded, "encoding": "base64"})


def _entry(call: Call, repository: Repository, folder: str, line: bytes) -> Json:
    """`line`: "100644 blob <sha>\\tname", of `git ls-tree`."""
    about, _, name = line.decode(errors="replace").partition("\t")
    _, kind, sha = about.split(" ")
    path = f"{folder.rstrip('/')}/{name}".lstrip("/")
    return _described(call, repository, path, "dir" if kind == "tree" else "file", sha)


def _described(call: Call, repository: Repository, path: str, kind: str, sha: str) -> Json:
    owner, name = repository.owner.login, repository.name
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "type": kind,
        "sha": sha,
        "url": call.site.links.api("repos", owner, name, "contents", path),
        "html_url": call.site.links.html(owner, name, "blob", repository.default_branch, path),
        # GitHub's has a credential in it: it opens the file of a private repository to anybody.
        "download_url": call.site.links.html(owner, name, "raw", repository.default_branch, f"{path}?token=SIGNED")
        if kind == "file"
        else None,
    }


async def find(call: Call, repository: Repository) -> history.Commit:
    """The commit of the path's `ref`. Raises 422, as GitHub does for what is no commit."""
    ref = call.params["ref"]
    commit = await history.commit(repository, ref)
    if commit is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    return commit


def represented(call: Call, commit: history.Commit) -> Json:
    repository, links = commit.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    url = links.api("repos", owner, name, "commits", commit.sha)
    return {
        "sha": commit.sha,
        "node_id": encode("Commit", repository.id, commit.sha),
        "commit": git_commit(call, commit),
        "url": url,
        "html_url": links.html(owner, name, "commit", commit.sha),
        "author": _account(call, commit.author),
        "committer": _account(call, commit.committer),
        "parents": [
            {"sha": parent, "url": links.api("repos", owner, name, "commits", parent)} for parent in commit.parents
        ],
    }


def git_commit(call: Call, commit: history.Commit) -> Json:
    repository, links = commit.repository, call.site.links
    base = ("repos", repository.owner.login, repository.name, "git")
    return {
        "author": _signature(commit.author),
        "committer": _signature(commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": links.api(*base, "trees", commit.tree)},
        "url": links.api(*base, "commits", commit.sha),
        "comment_count": 0,
    }


def _signature(signature: history.Signature) -> Json:
    return {"name": signature.name, "email": signature.email, "date": timestamp(signature.date)}


def _account(call: Call, signature: history.Signature) -> Json | None:
    """The account that an address belongs to."""
    found = (who for who in call.site.accounts.all if who.email == signature.email)
    who = next(found, None)
    return represent.account(call.site.links, who) if who else None
