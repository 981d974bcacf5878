"""What the stand-in reads from git to tell it in its answers: commits, differences, files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gitward_standin.model import ChangedFile, Repository
from gitward_standin.plumbing import GitFailed

_FIELDS = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
_END = "%x1e"  # between commits: git allows no such byte in a message that GitHub would show


@dataclass(frozen=True, kw_only=True)
class Signature:
    name: str
    email: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class Commit:
    repository: Repository = field(repr=False)
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def headline(self) -> str:
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True, kw_only=True)
class Named:
    """What an expression names."""

    sha: str
    kind: str  # commit, tree, blob or tag


@dataclass(frozen=True, kw_only=True)
class GitObject:
    """A blob or a tree, found by its name."""

    repository: Repository = field(repr=False)
    typename: str  # Blob or Tree
    sha: str
    content: bytes  # of a blob; the listing of a tree


async def commits(repository: Repository, *range_: str, limit: int = 250) -> list[Commit]:
    """The commits that `git log` lists, newest first. Raises GitFailed for what git cannot resolve."""
    arguments = ("log", f"--max-count={limit}", f"--format={_FIELDS}{_END}", "--end-of-options", *range_, "--")
    text = (await repository.run_git(*arguments)).decode(errors="replace")
    return [_commit(repository, entry.lstrip("\n")) for entry in text.split("\x1e") if entry.strip("\n")]


async def commit(repository: Repository, expression: str) -> Commit | None:
    """The commit that a branch, tag or number names; None when there is none."""
    found = await resolve(repository, f"{expression}^{{commit}}") if expression else None
    return (await commits(repository, found.sha, limit=1))[0] if found else None


async def resolve(repository: Repository, expression: str) -> Named | None:
    """The object that an expression of git's (`main`, `v1^{tree}`, `main:README.md`) names; None: nothing."""
    if "\n" in expression or "\0" in expression:
        return None
    answer = (await repository.run_git("cat-file", "--batch-check", stdin=f"{expression}\n".encode())).decode()
    sha, _, rest = answer.strip().partition(" ")
    kind = rest.partition(" ")[0]
    return Named(sha=sha, kind=kind) if kind in ("commit", "tree", "blob", "tag") else None


async def read(repository: Repository, expression: str) -> GitObject | Commit | None:
    """A commit, tree or blob."""
    found = await resolve(repository, expression)
    if found is None:
        return None
    if found.kind in ("commit", "tag"):
        return await commit(repository, found.sha)
    arguments = ("cat-file", "blob", found.sha) if found.kind == "blob" else ("ls-tree", "-z", found.sha)
    content = await repository.run_git(*arguments)
    return GitObject(repository=repository, typename=found.kind.capitalize(), sha=found.sha, content=content)


async def merge_base(repository: Repository, base: str, head: str) -> str | None:
    """The newest common commit; None: the histories have nothing in common."""
    try:
        return (await repository.run_git("merge-base", base, head)).decode().strip()
    except GitFailed:
        return None


async def diff(repository: Repository, base: str, head: str) -> str:
    """What `head` changed since it left `base`, as a unified diff."""
    start = await merge_base(repository, base, head) or base
    output = await repository.run_git("diff", "--no-color", "--full-index", start, head)
    return output.decode(errors="replace")


async def patch(repository: Repository, base: str, head: str) -> str:
    """The same, as one mail for each commit."""
    output = await repository.run_git("format-patch", "--stdout", f"{base}..{head}")
    return output.decode(errors="replace")


async def changed_files(repository: Repository, base: str, head: str) -> list[ChangedFile]:
    """What `head` changed since it left `base`, by file. git is asked once for each pair: commits do not change."""
    if (base, head) not in repository.changes:
        repository.changes[base, head] = await _changed_files(repository, base, head)
    return repository.changes[base, head]


async def _changed_files(repository: Repository, base: str, head: str) -> list[ChangedFile]:
    start = await merge_base(repository, base, head) or base
    run = repository.run_git
    raw = (await run("diff", "--raw", "--no-abbrev", "--no-renames", "-z", start, head)).decode(errors="replace")
    counted = (await run("diff", "--numstat", "--no-renames", "-z", start, head)).decode(errors="replace")
    counts = {line.split("\t", 2)[2]: line.split("\t")[:2] for line in counted.split("\0") if line}
    fields = raw.split("\0")[:-1]
    entries = zip(fields[::2], fields[1::2], strict=True)
    patches = _patches(await diff(repository, start, head))
    return [_changed(entry, path, counts[path], patches.get(path, "")) for entry, path in entries]


def _changed(entry: str, path: str, counts: list[str], patch_text: str) -> ChangedFile:
    """`entry`: ":100644 100644 <old> <new> M"; `counts`: additions and deletions, "-" for a binary file."""
    _, _, old, new, letter = entry.split(" ")
    added, deleted = (0 if count == "-" else int(count) for count in counts)
    status = {"A": "added", "D": "removed"}.get(letter, "modified")
    sha = old if letter == "D" else new
    return ChangedFile(path=path, status=status, additions=added, deletions=deleted, sha=sha, patch=patch_text)


def _patches(text: str) -> dict[str, str]:
    """The hunks of a diff by file, as REST tells them. Files with quoted names are left out."""
    found = {}
    for part in ("\n" + text).split("\ndiff --git ")[1:]:
        place = part.find("\n@@ ")
        if place >= 0:
            found[part.split("\n", 1)[0].rpartition(" b/")[2]] = part[place + 1 :].rstrip("\n")
    return found


def _commit(repository: Repository, entry: str) -> Commit:
    sha, tree, parents, *people, message = entry.split("\0", 9)
    signatures = [
        Signature(name=name, email=email, date=datetime.fromisoformat(date))
        for name, email, date in (people[:3], people[3:])
    ]
    return Commit(
        repository=repository,
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=signatures[0],
        committer=signatures[1],
        message=message.strip("\n"),
    )
