"""A repository of our own in which git-lfs fetches and uploads the objects that we name, and nothing else.

It has no `.lfsconfig` and only our remote: what a tree says about LFS has no effect.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from gitward.repositories.git import CommandResult, Git, Runner
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.remote import Remote, authorization
from gitward.sandboxes import foreign_folders

STORAGE = "lfs"  # below the repository
_AUTHOR = "Gitward <gitward@localhost> 0 +0000"


def prepare(folder: Path, remote: Remote, wanted: Iterable[Pointer] = (), *, storage: str | None = None) -> None:
    """Makes the repository, owned as its parent folder is. Blocks.

    :param wanted: the objects that `fetch` fetches: HEAD's tree has their pointers.
    :param storage: where the objects are, inside; else they are fetched into `STORAGE`.
    """
    for name in ("objects", "refs", STORAGE):
        (folder / name).mkdir(parents=True)
    (folder / "config").write_text(_config(remote, storage))
    objects = _Objects(folder / "objects")
    entries = [
        b"100644 " + each.oid.encode() + b"\0" + bytes.fromhex(objects.write("blob", each.text))
        for each in sorted(wanted, key=lambda each: each.oid)
    ]
    tree = objects.write("tree", b"".join(entries))
    commit = f"tree {tree}\nauthor {_AUTHOR}\ncommitter {_AUTHOR}\n\nObjects of Git LFS\n"
    (folder / "HEAD").write_text(f"{objects.write('commit', commit.encode())}\n")
    _hand_over(folder)


def _config(remote: Remote, storage: str | None) -> str:
    api = f"{remote.url}/info/lfs"
    return (
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
        f'[remote "origin"]\n\turl = {remote.url}\n'
        f"[lfs]\n\turl = {api}\n\tlocksverify = false\n\tbasictransfersonly = true\n"
        + (f"\tstorage = {storage}\n" if storage is not None else "")
        + f'[lfs "{api}"]\n\tlocksverify = false\n\taccess = basic\n'
        + authorization(remote)
    )


class _Objects:
    """Loose objects of git, of SHA-1 whatever the session's repository has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, kind: str, content: bytes) -> str:
        whole = f"{kind} {len(content)}\0".encode() + content
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        place = self._folder / oid[:2] / oid[2:]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(zlib.compress(whole, 1))
        return oid


def lend(folder: Path, inside: str, wanted: Iterable[Pointer]) -> None:
    """Makes a storage of links to the objects of another one, which the sandbox sees at `inside`. Blocks.

    git-lfs writes beside its objects also where it only reads.
    """
    for pointer in wanted:
        place = folder / pointer.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(f"{inside}/{pointer.path}")
    _hand_over(folder)


def _hand_over(folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        foreign_folders.hand_over(folder, owner.st_uid, owner.st_gid)


async def fetch(runner: Runner, folder: str) -> CommandResult:
    """Fetches what was wanted; ends with another code than 0 also when single objects are missing."""
    return await Git(runner=runner, folder=folder).run("lfs", "fetch", "origin", "HEAD")


async def push(runner: Runner, folder: str, wanted: Iterable[Pointer]) -> CommandResult:
    """Uploads those of the objects that the server does not have."""
    oids = "".join(f"{each.oid}\n" for each in wanted).encode()
    return await Git(runner=runner, folder=folder).run("lfs", "push", "--object-id", "--stdin", "origin", stdin=oids)
