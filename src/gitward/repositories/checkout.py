"""Makes a checkout: a `.git` that borrows from the snapshot, and nothing of an earlier run.

The worker writes the few files of `.git` itself, before any command of the run can be in the workspace; git inside
the sandbox then writes the tree.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from gitward.repositories import OBJECTS_DIR
from gitward.repositories.git import CommandResult, Git, Runner
from gitward.repositories.start_point import StartPoint, Upstream, remote_refs
from gitward.sandboxes import WORK_DIR, foreign_folders

REPO = "repo"  # below the workspace's `work`
CHECKOUT_DIR = f"{WORK_DIR}/{REPO}"  # inside
CACHE = "cache"  # below `work`: what stays for the session's next run
CACHE_DIR = f"{WORK_DIR}/{CACHE}"  # inside
_ASIDE = "removing-"
_EXCLUDE = "# Files of this checkout that git shall not see, beside those of .gitignore.\n"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The repository at GitHub, as the checkout knows it."""

    url: str
    refs: Upstream


def empty(workspace: Path) -> Path | None:
    """Sets aside all that lies in the workspace's `work` but the caches; the caller removes what it is given. Blocks.

    No process of a sandbox may be alive on the workspace.
    """
    work = workspace / "work"
    aside = _aside(workspace)
    for name in os.listdir(work):
        if name == CACHE and stat.S_ISDIR((work / name).lstat().st_mode):
            continue
        _move(work, name, aside)
    if not os.listdir(aside):
        aside.rmdir()
        return None
    return aside


def retire(workspace: Path) -> Path | None:
    """Sets aside all that a run needed: checkout, snapshot, result and /etc; the caches stay. Blocks.

    Safe to call in any state of the workspace; the caller removes what it is given.
    """
    aside = empty(workspace)
    for name in ("objects", "result", "etc"):
        if (workspace / name).is_dir():
            aside = aside or _aside(workspace)
            os.rename(workspace / name, aside / name)
    return aside


def _aside(workspace: Path) -> Path:
    aside = workspace / f"{_ASIDE}{secrets.token_hex(8)}"
    aside.mkdir(mode=0o700)
    return aside


def _move(work: Path, name: str, aside: Path) -> None:
    try:
        os.rename(work / name, aside / name)
    except PermissionError:  # a folder that its owner may not write, which is no root: its `..` is written to
        os.chmod(work / name, 0o700)
        os.rename(work / name, aside / name)


def leftovers(workspace: Path) -> list[Path]:
    """What `empty` set aside and a lost worker did not remove."""
    return [path for path in workspace.iterdir() if path.name.startswith(_ASIDE)]


def remove(aside: Path) -> None:
    """Removes what was set aside. Blocks, for long where there is much."""
    foreign_folders.clear(aside)
    aside.rmdir()


def make_git_folder(workspace: Path, origin: Origin, start: StartPoint) -> None:
    """Writes `.git` into an empty `work/repo`. Blocks."""
    work = workspace / "work"
    repo, cache = work / REPO, work / CACHE
    git = repo / ".git"
    cache.mkdir(mode=0o755, exist_ok=True)
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "refs/remotes/origin", "info", "hooks"):
        (git / folder).mkdir(parents=True)
    files = {
        "HEAD": f"ref: refs/heads/{start.branch}\n",
        "config": _config(origin.url, start),
        "objects/info/alternates": f"{OBJECTS_DIR}\n",
        "info/exclude": _EXCLUDE,
        "refs/remotes/origin/HEAD": f"ref: refs/remotes/origin/{start.target_branch}\n",
        "description": "A checkout of Gitward.\n",
    }
    for name, text in files.items():
        (git / name).write_text(text)
    (git / "packed-refs").write_bytes(_packed_refs(origin.refs, start))
    _open(repo)
    if os.geteuid() == 0:
        owner = work.stat()
        os.chown(cache, owner.st_uid, owner.st_gid)
        foreign_folders.hand_over(repo, owner.st_uid, owner.st_gid)


def _open(repo: Path) -> None:
    """The modes of an ordinary clone, whatever the worker's umask."""
    repo.chmod(0o755)
    for entry in foreign_folders.walk(repo):
        mode = 0o755 if stat.S_ISDIR(entry.status.st_mode) else 0o644
        os.chmod(entry.name, mode, dir_fd=entry.folder)


def _packed_refs(refs: Upstream, start: StartPoint) -> bytes:
    local = {start.branch: start.sha, start.target_branch: start.target_sha}
    if start.branch == start.target_branch:
        local = {start.branch: start.sha}
    heads = b"".join(f"{local[name]} refs/heads/{name}\n".encode() for name in sorted(local, key=str.encode))
    return b"# pack-refs with: peeled fully-peeled sorted \n" + heads + remote_refs(refs.raw)


def _config(url: str, start: StartPoint) -> str:
    wide = len(start.sha) == 64
    text = (
        f"[core]\n\trepositoryformatversion = {1 if wide else 0}\n\tfilemode = true\n\tbare = false\n"
        "\tlogallrefupdates = true\n"
        f'[remote "origin"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
        f"[branch {_quoted(start.target_branch)}]\n\tremote = origin\n"
        f"\tmerge = {_quoted(f'refs/heads/{start.target_branch}')}\n"
    )
    return text + ("[extensions]\n\tobjectformat = sha256\n" if wide else "")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def write_tree(runner: Runner) -> CommandResult:
    """Writes the files of HEAD; git inside does it, with the attributes of the repository and no filter.

    So LFS files are pointers; `lfs.tree` fills them.
    """
    git = Git(runner=runner, folder=f"{CHECKOUT_DIR}/.git", tree=CHECKOUT_DIR)
    return await git.run("read-tree", "--reset", "-u", "HEAD")


def copy_index(workspace: Path, to: Path) -> None:
    """Copies the checkout's index with its time, by which git knows which files it has to look at again. Blocks."""
    source = workspace / "work" / REPO / ".git" / "index"
    if not source.exists():  # a commit without any file
        return
    shutil.copyfile(source, to, follow_symlinks=False)
    status = source.stat()
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
