"""What is in git: refs, commits, trees and blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitward_standin import checks, history
from gitward_standin.accounts import Account
from gitward_standin.clock import timestamp
from gitward_standin.graphql.connections import Connected, tables
from gitward_standin.graphql.tables import Table, Tables, attribute, fixed, keys, moment, plain
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import PullRequest, Repository
from gitward_standin.node_ids import encode


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A ref of any kind. `ref` is its full name."""

    repository: Repository
    ref: str
    sha: str

    @property
    def prefix(self) -> str:
        return "/".join(self.ref.split("/", 2)[:2]) + "/"

    @property
    def name(self) -> str:
        return self.ref.removeprefix(self.prefix)


@dataclass(frozen=True, kw_only=True)
class Protection:
    """The rule of a branch that refuses pushes."""

    repository: Repository
    pattern: str


async def _target(_visit: Visit, branch: Branch) -> object:
    return await history.read(branch.repository, branch.sha)


def _rule(_visit: Visit, branch: Branch) -> Protection | None:
    protected = branch.prefix == "refs/heads/" and branch.repository.is_protected(branch.name)
    return Protection(repository=branch.repository, pattern=branch.name) if protected else None


def _pulls_of_branch(_visit: Visit, branch: Branch) -> list[PullRequest]:
    return [pull for pull in branch.repository.pulls if pull.head == branch.name]


def _pulls_of_commit(_visit: Visit, commit: history.Commit) -> list[PullRequest]:
    return [pull for pull in commit.repository.pulls if commit.sha in (pull.head_sha, pull.merge_sha)]


def _account(visit: Visit, signature: history.Signature) -> Account | None:
    return next((who for who in visit.site.accounts.all if who.email == signature.email), None)


async def _history(_visit: Visit, commit: history.Commit, *, path: str | None = None) -> list[history.Commit]:
    found = await history.commits(commit.repository, commit.sha)
    if path is None:
        return found
    touching = (await commit.repository.run_git("log", "--format=%H", commit.sha, "--", path)).decode().split()
    return [each for each in found if each.sha in touching]


async def _parents(_visit: Visit, commit: history.Commit) -> list[history.Commit]:
    return [(await history.commits(commit.repository, sha, limit=1))[0] for sha in commit.parents]


async def _file(_visit: Visit, commit: history.Commit, *, path: str) -> dict[str, Any] | None:
    """An entry of the commit's tree."""
    folder, _, name = path.rpartition("/")
    tree = await history.read(commit.repository, f"{commit.sha}:{folder}")
    entries = _entries(None, tree) if isinstance(tree, history.GitObject) and tree.typename == "Tree" else []
    return next((entry for entry in entries if entry["name"] == name), None)


async def _tree(_visit: Visit, commit: history.Commit) -> object:
    return await history.read(commit.repository, commit.tree)


def _entries(_visit: object, tree: history.GitObject) -> list[dict[str, Any]]:
    """The listing of `git ls-tree -z`: "100644 blob <sha>\\tname"."""
    lines = [line.decode(errors="replace") for line in tree.content.split(b"\0") if line]
    split = [(*line.partition("\t")[0].split(" "), line.partition("\t")[2]) for line in lines]
    return [
        {"repository": tree.repository, "mode": int(mode, 8), "type": kind, "oid": sha, "name": name, "path": name}
        for mode, kind, sha, name in split
    ]


async def _entry_object(_visit: Visit, entry: dict[str, Any]) -> object:
    return None if entry["type"] == "commit" else await history.read(entry["repository"], entry["oid"])


def _status(_visit: Visit, commit: history.Commit) -> checks.Rollup | None:
    return checks.rollup(commit.repository, commit.sha)


def _commit_url(visit: Visit, commit: history.Commit | history.GitObject) -> str:
    return visit.url(commit.repository.owner.login, commit.repository.name, "commit", commit.sha)


def _text(_visit: Visit, blob: history.GitObject) -> str | None:
    return None if b"\0" in blob.content else blob.content.decode(errors="replace")


_OBJECT: Table = {
    **plain("repository"),
    "oid": attribute("sha"),
    "abbreviatedOid": lambda _, found: found.sha[:7],
    "commitUrl": _commit_url,
}

TABLES: Tables = {
    "Ref": {
        **plain("name", "prefix", "repository"),
        "id": lambda _, branch: encode("Ref", branch.repository.id, branch.ref),
        "target": _target,
        "branchProtectionRule": _rule,
        "associatedPullRequests": Connected(_pulls_of_branch),
    },
    "BranchProtectionRule": {
        **plain("pattern", "repository"),
        **fixed(requires_strict_status_checks=False, requires_status_checks=False, requires_approving_reviews=False),
        **fixed(required_approving_review_count=0, allows_force_pushes=False, allows_deletions=False),
        "id": lambda _, rule: encode("BranchProtectionRule", rule.repository.id, rule.pattern),
    },
    "Commit": {
        **_OBJECT,
        **plain("author", "committer", "message"),
        "id": lambda _, commit: encode("Commit", commit.repository.id, commit.sha),
        "messageHeadline": attribute("headline"),
        "messageBody": lambda _, commit: commit.message.partition("\n")[2].strip("\n"),
        "authoredDate": moment("author.date"),
        "committedDate": moment("committer.date"),
        "pushedDate": lambda _visit, _commit: None,
        "url": _commit_url,
        "authors": Connected(lambda _, commit: [commit.author]),
        "parents": Connected(_parents),
        "history": Connected(_history),
        "file": _file,
        "tree": _tree,
        "statusCheckRollup": _status,
        "associatedPullRequests": Connected(_pulls_of_commit),
    },
    "GitActor": {
        **plain("name", "email"),
        "date": lambda _, signature: timestamp(signature.date),
        "user": _account,
    },
    "Tree": {
        **_OBJECT,
        "id": lambda _, tree: encode("Tree", tree.repository.id, tree.sha),
        "entries": _entries,
    },
    "TreeEntry": {**keys("name", "path", "type", "mode", "oid", "repository"), "object": _entry_object},
    "Blob": {
        **_OBJECT,
        "id": lambda _, blob: encode("Blob", blob.repository.id, blob.sha),
        "text": _text,
        "byteSize": lambda _, blob: len(blob.content),
        "isBinary": lambda _, blob: b"\0" in blob.content,
        "isTruncated": lambda _visit, _blob: False,
    },
    **tables("Ref", "Commit", "GitActor", "BranchProtectionRule"),
    "CommitHistoryConnection": tables("Commit")["CommitConnection"],
}
