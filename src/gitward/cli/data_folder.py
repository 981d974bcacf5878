"""The data folder: its owner, and who may pass through it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from gitward.errors import SettingsError
from gitward.settings.environment import is_container

_UID_MAP, _OVERFLOW_UID = Path("/proc/self/uid_map"), Path("/proc/sys/kernel/overflowuid")


def _make(folder: Path) -> None:
    """With those above it. The mode does not depend on the umask."""
    if not folder.exists():
        _make(folder.absolute().parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)


def prepare_data_dir(data_dir: Path) -> None:
    """Makes the data folder: its owner writes, others may only pass through (a sandbox's own uid must).

    :raises SettingsError: it cannot be made, belongs to somebody else, or others may read, write or replace it.
    """
    try:
        _make(data_dir)
        check_owner(data_dir)
        mode = stat.S_IMODE(data_dir.stat().st_mode)
        if mode & 0o066:
            raise SettingsError(
                [f"GITWARD_DATA_DIR: others may read {data_dir} (mode {mode:04o}); run: chmod 711 {data_dir}"]
            )
        for name in ("workspaces", "pushes", "making"):
            (data_dir / name).mkdir(mode=0o711, exist_ok=True)
            (data_dir / name).chmod(0o711)  # whatever the umask
        data_dir.chmod(0o711)
    except OSError as error:
        raise SettingsError([f"GITWARD_DATA_DIR: {data_dir} cannot be used: {error.strerror}"]) from None
    os.umask(0o077)  # the database and its journals are for their owner only


def check_owner(data_dir: Path) -> None:
    """Nobody but this process's user and root may have the folder, or put another in its place.

    :raises SettingsError: somebody else may.
    :raises OSError: it cannot be looked at.
    """
    owner, mine = data_dir.stat().st_uid, os.geteuid()
    if owner != mine:
        raise SettingsError(
            [
                f"GITWARD_DATA_DIR: {data_dir} belongs to {user_name(owner)}, and Gitward runs as {user_name(mine)}; "
                + _remedy(data_dir, user_name(owner), user_name(mine, for_command=True))
            ]
        )
    for entry in _way_to(data_dir):
        if entry.is_symlink() or not entry.samefile(data_dir):
            _check_replaceable(data_dir, entry)


def _remedy(data_dir: Path, owner: str, mine: str) -> str:
    """A folder in use keeps its owner, or its service could not go on."""
    as_owner = f"start it as {owner}"
    try:
        in_use = any((data_dir / name).exists() for name in ("gitward.db", "jwt.key", "mirrors"))
    except PermissionError:
        in_use = True  # its owner lets nobody look
    return as_owner if in_use else f"{as_owner}, or run: chown -R {mine} {data_dir}"


def _way_to(path: Path) -> list[Path]:
    """The path and all above it; where there is a link, the same of what it leads to."""
    found: dict[Path, None] = {}
    ahead = [path.absolute()]
    while ahead:
        here = ahead.pop()
        for entry in (here, *here.parents):
            if entry.is_symlink() and entry not in found:
                ahead.append(entry.parent / entry.readlink())
            found[entry] = None
    return list(found)


def _check_replaceable(data_dir: Path, entry: Path) -> None:
    """:raises SettingsError: somebody else may put another folder or link in the place of this one, or into it."""
    found = entry.lstat()
    mode = found.st_mode
    if found.st_uid not in (0, os.geteuid()) and not _is_harmless(found.st_uid):
        owner = user_name(found.st_uid)
        raise SettingsError(
            [
                f"GITWARD_DATA_DIR: {owner} may replace {data_dir}, because {entry} belongs to {owner}; choose another "
                f"folder, or run: chown -h root {entry}"
            ]
        )
    if stat.S_ISDIR(mode) and mode & stat.S_IWOTH and not mode & stat.S_ISVTX and not _is_volume(entry):
        raise SettingsError(
            [
                f"GITWARD_DATA_DIR: every user of this machine may replace {data_dir}, because all may write {entry} "
                f"(mode {stat.S_IMODE(mode):04o}); choose another folder, or run: chmod o-w {entry}"
            ]
        )


def _is_harmless(uid: int) -> bool:
    """Nobody else is in a container; and in a user namespace, a uid from outside it says nothing of whose it is."""
    return is_container() or uid == _unknown_uid()


def _unknown_uid() -> int | None:
    """Of what belongs to a user outside this user namespace; None: there is no outside."""
    try:
        mapped = [[int(word) for word in line.split()] for line in _UID_MAP.read_text("ascii").splitlines()]
        unknown = int(_OVERFLOW_UID.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if any(first <= unknown < first + count for first, _, count in mapped) else unknown


def _is_volume(folder: Path) -> bool:
    """Of a container: engines make many writable for all, and nobody else is there."""
    return is_container() and folder.is_mount()


def user_name(uid: int, *, for_command: bool = False) -> str:
    """As people know the user; the number where there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid) if for_command else f"user {uid}"


def check_way_to(data_dir: Path) -> None:
    """For a worker of root's, whose sandboxes run as other users: each folder above must let them through.

    :raises SettingsError: one does not; root's own home is such a folder on Debian.
    """
    if os.geteuid() != 0:
        return  # a sandbox's user is the worker's own
    for folder in data_dir.absolute().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            raise SettingsError(
                [
                    f"GITWARD_DATA_DIR: sandboxes run as users of their own, who cannot pass through {folder} (mode "
                    f"{mode:04o}) to {data_dir}; choose another folder, such as /var/lib/gitward, or run: chmod o+x "
                    f"{folder}"
                ]
            )
