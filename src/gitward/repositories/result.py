"""A repository of our own that collects a run's commits and files; everything shown and pushed comes from it.

Objects enter by fetch only: git's index-pack hashes each of them again. It borrows from the snapshot and from nothing
that a command could write. (As a trial it once borrowed from the command's store: a loose object forged under a real id
showed a harmless diff, and upstream got a changed workflow.)
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitward.repositories import OBJECTS_DIR, foreign_folder
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.repositories.git import LISTING_BYTES, CommandResult, Git, GitFailed, Runner
from gitward.repositories.lfs import filter_process
from gitward.repositories.remote import Remote, authorization
from gitward.repositories.start_point import StartPoint
from gitward.sandboxes import foreign_folders

RESULT_DIR = "/result"  # inside; `<workspace>/result/work` outside
_GIT = f"{RESULT_DIR}/git"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TRANSFER = f"{RESULT_DIR}/transfer"  # what is fetched from: our refs over the command's objects
SUBMODULES = f"{RESULT_DIR}/submodules"  # our refs over the objects of submodules
INDEX = f"{RESULT_DIR}/index"  # of the run's tree, made from the baseline's
OTHER_INDEX = f"{RESULT_DIR}/index.other"  # of whatever is not the run's tree
EMPTY = f"{RESULT_DIR}/empty"  # a work tree without a file
BEFORE = f"{RESULT_DIR}/before"  # a work tree for what files looked like before the command
LFS_STORAGE = f"{_GIT}/lfs"  # where git-lfs puts the content of new LFS files
LFS_TRANSFER = f"{RESULT_DIR}/lfs"  # by which it is uploaded; see `lfs.transfer`
_LFS = f'[filter "lfs"]\n\tprocess = {filter_process(EMPTY)}\n\trequired = true\n'
_NO_INDEX = f"{RESULT_DIR}/none"  # no index, and so no attributes
# Faults of old commits that git has long taken, and that a run may carry on; the rest of git's checks stand.
_OLD_FAULTS = (
    *("badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "missingEmail", "missingNameBeforeEmail"),
    *("missingSpaceBeforeDate", "missingSpaceBeforeEmail", "multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode"),
)


class Result:
    """Its git, by what it works on."""

    def __init__(self, runner: Runner, place: Path, start: StartPoint) -> None:
        """`place` is its folder outside of the sandbox, as `prepare` left it."""
        self._place = place
        self._head = start.sha
        self._known = _upstream(start)
        self.bare = Git(runner=runner, folder=_GIT, index=_NO_INDEX)
        self.tree = self.bare.on(tree=CHECKOUT_DIR, index=INDEX)
        self.without_files = self.bare.on(tree=EMPTY, index=INDEX)

    async def stand_on(self, commit: str) -> None:
        """Has HEAD stand on a commit; no file is written."""
        if commit != self._head:
            await self.bare.do("update-ref", "--no-deref", "HEAD", commit)
            self._head = commit

    def name(self, refs: Mapping[str, str]) -> None:
        """Gives commits full ref names, beside those that the result began with. Blocks; no git may be running."""
        _write_refs(self._place / "git", {**self._known, **refs})

    def name_in_submodules(self, refs: Mapping[str, str]) -> None:
        """Gives commits of `SUBMODULES` their names. Blocks; no git may be running there."""
        _write_refs(self._place / "submodules", refs)

    async def stands_on(self) -> str:
        """The commit that HEAD stands on after `git commit`."""
        with foreign_folder.opened(self._place) as folder:
            text = (folder.read("git/HEAD", 100) or b"").decode("ascii", "replace").strip()
        if not _ID.fullmatch(text):
            raise GitFailed(CommandResult(exit_code=0, tail="git made no commit"))
        self._head = text
        return text

    async def fetch(self) -> None:
        """Takes what was offered, with all that it needs, out of a store. Raises GitFailed, also for forgeries."""
        spec = "+refs/take/*:refs/take/*"
        await self.bare.do("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", _TRANSFER, spec)

    async def has(self, oid: str) -> bool:
        """Whether the object is in the result or upstream."""
        return (await self.bare.run("cat-file", "-e", oid)).exit_code == 0

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` is `old` or goes on from it."""
        return await self.bare.succeeds("merge-base", "--is-ancestor", old, new)

    async def related(self, one: str, other: str) -> bool:
        """Whether two commits have history in common."""
        return await self.bare.succeeds("merge-base", one, other)

    async def commits_beyond(self, tip: str, known: Sequence[str]) -> bool:
        """Whether the tip brings a commit that none of the known ones reaches. Missing ones do not count."""
        asked = "".join(f"^{oid}\n" for oid in known)
        listed = await self.bare.do(
            "rev-list", "--max-count=1", "--ignore-missing", "--stdin", stdin=f"{tip}\n{asked}".encode()
        )
        return bool(listed.strip())

    async def new_commits(self, tips: Iterable[str], known: Iterable[str]) -> frozenset[str]:
        """All commits that the tips reach and the known ones do not. Missing ones do not count."""
        asked = "".join([*(f"{oid}\n" for oid in tips), *(f"^{oid}\n" for oid in known)]).encode()
        listed = await self.bare.do("rev-list", "--ignore-missing", "--stdin", stdin=asked, limit=LISTING_BYTES)
        return await asyncio.to_thread(lambda: frozenset(listed.decode().split()))

    async def resolve(self, *names: str) -> tuple[tuple[str, str] | None, ...]:
        """Object id and kind of each name; None for what is not there."""
        asked = "".join(f"{name}\n" for name in names).encode()
        told = await self.bare.do(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked, limit=LISTING_BYTES
        )
        lines = [line.split(" ") for line in told.decode("utf-8", "replace").splitlines()]
        return tuple((line[0], line[1]) if len(line) == 2 and line[1] != "missing" else None for line in lines)


def prepare(work: Path, *, start: StartPoint, index: Path, remote: Remote) -> None:
    """Makes the result in the empty `work` of its own workspace, owned as that is. Blocks.

    :param start: HEAD stands on its commit at first.
    :param index: the baseline's, which is copied with its time; it may be missing.
    """
    config = _config(wide=len(start.sha) == 64, remote=remote)
    _bare(work / "git", head=start.sha, config=config, stores=[OBJECTS_DIR])
    _write_refs(work / "git", _upstream(start))
    for name in ("empty", "before", "git/lfs/objects"):
        (work / name).mkdir(parents=True)
    if index.exists():
        shutil.copy2(index, work / "index")
    _hand_over(work)


def _upstream(start: StartPoint) -> dict[str, str]:
    """By these git knows what it has already, and so what a fetch out of the command's store need not bring."""
    return {"refs/upstream/start": start.sha, "refs/upstream/target": start.target_sha}


def _write_refs(folder: Path, refs: Mapping[str, str]) -> None:
    lines = "".join(f"{refs[name]} {name}\n" for name in sorted(refs, key=str.encode))
    temporary = folder / "packed-refs.new"
    temporary.write_text(f"# pack-refs with: sorted \n{lines}")
    temporary.chmod(0o644)
    temporary.replace(folder / "packed-refs")


def offer(work: Path, tips: Iterable[str], *, stores: Sequence[str]) -> None:
    """Makes the repository that `Result.fetch` fetches from: these objects, in the command's stores. Blocks."""
    folder = work / "transfer"
    shutil.rmtree(folder, ignore_errors=True)
    oids = sorted(set(tips))
    _bare(folder, head=oids[0], config=_config(wide=len(oids[0]) == 64), stores=[*stores, OBJECTS_DIR])
    _write_refs(folder, {f"refs/take/{oid}": oid for oid in oids})
    _hand_over(work, folder)


def borrow(work: Path, stores: Iterable[str], shallow: Iterable[str], *, wide: bool) -> None:
    """Makes `SUBMODULES` over the command's stores: what is read there decides about no push. Blocks."""
    folder = work / "submodules"
    _bare(folder, head="ref: refs/heads/none", config=_config(wide=wide), stores=stores)
    ends = "".join(f"{oid}\n" for oid in shallow)
    if ends:
        (folder / "shallow").write_text(ends)
    _hand_over(work, folder)


def _bare(folder: Path, *, head: str, config: str, stores: Iterable[str]) -> None:
    for name in ("objects/info", "objects/pack", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text(f"{head}\n")
    (folder / "config").write_text(config)
    (folder / "objects/info/alternates").write_text("".join(f"{store}\n" for store in stores))


def _config(*, wide: bool, remote: Remote | None = None) -> str:
    text = (
        f"[core]\n\trepositoryformatversion = {1 if wide else 0}\n\tfilemode = true\n\tbare = true\n"
        "[fetch]\n\tfsckObjects = true\n\tunpackLimit = 1\n"
        '[fetch "fsck"]\n' + "".join(f"\t{fault} = ignore\n" for fault in _OLD_FAULTS) + "[uploadpack]\n"
        "\tallowAnySHA1InWant = true\n[protocol]\n\tversion = 2\n"
    )
    if wide:
        text += "[extensions]\n\tobjectformat = sha256\n"
    return text if remote is None else text + _LFS + authorization(remote)


def _hand_over(work: Path, folder: Path | None = None) -> None:
    """The user of the sandbox has it; git reads nothing there that it did not write or that we did not."""
    if os.geteuid() == 0:
        owner = work.stat()
        foreign_folders.hand_over(folder or work, owner.st_uid, owner.st_gid)
