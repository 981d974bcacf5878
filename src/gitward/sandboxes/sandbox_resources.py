"""The resources of an open sandbox on this machine: a claim on its workspace, a user id, a memory cgroup."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gitward.grants import cgroups
from gitward.grants.endpoint import Endpoint
from gitward.grants.system_image import SystemImage
from gitward.sandboxes import etc_folder, foreign_folders, uids, workspace_lock
from gitward.sandboxes.plan import Plan
from gitward.sandboxes.protocol import WORK_DIR, Limits, SandboxError, Shown, User
from gitward.sandboxes.proxy_environment import proxy_variables
from gitward.sandboxes.walls import Wall


@dataclass(frozen=True, kw_only=True)
class EngineTerms:
    """What the engine gives every sandbox."""

    uid_base: int | None  # None: the sandbox has the worker's own user id
    tool_paths: tuple[Path, ...]
    cgroups: cgroups.Controller | None
    walls: frozenset[Wall]


@dataclass(frozen=True, kw_only=True)
class ResourceRequest:
    """What is to be taken over."""

    workspace: Path
    endpoint: Endpoint
    limits: Limits
    shown: tuple[Shown, ...] = ()
    user: User | None = None  # of another sandbox
    work_dir: str = WORK_DIR
    image: SystemImage | None = None


class SameUser:
    """The worker's own user id, which every sandbox of an ordinary user has."""

    def release(self) -> None:
        """There is nothing to give back."""


class SandboxResources:
    """Empty until `occupy`; everything is given back by `release`. Both block: call them in a thread."""

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self.uid: int | None = None  # to become before anything else; None: stay
        self.lock = -1  # descriptor
        self.lock_path = ""
        self.group: cgroups.Group | None = None
        self._lease: uids.Lease | None = None
        self.plan: Plan

    def occupy(self, occupation: ResourceRequest, terms: EngineTerms) -> None:
        """Takes the workspace over, ends earlier processes on it, and makes it ready."""
        workspace = occupation.workspace
        try:
            self._occupy(occupation, terms)
        except workspace_lock.StillAlive as error:
            raise SandboxError(f"{workspace} is still in use: {error}. Check the machine's processes") from error
        except OSError as error:
            raise SandboxError(f"the workspace {workspace} could not be made ready: {error}") from error

    def _occupy(self, occupation: ResourceRequest, terms: EngineTerms) -> None:
        workspace, endpoint = occupation.workspace, occupation.endpoint
        workspace.mkdir(parents=True, exist_ok=True)
        workspace.chmod(0o700 if terms.uid_base is None else 0o711)
        self._acquire_lock(workspace)
        work, home, own_etc = (workspace / name for name in ("work", "home", "etc"))
        for folder in (work, home, own_etc):
            folder.mkdir(mode=0o700, exist_ok=True)
        foreign_folders.clear(home)
        foreign_folders.clear(own_etc)
        bound = etc_folder.build(own_etc, addresses=endpoint.addresses, ca_pem=endpoint.ca_pem)
        if occupation.image is not None:
            self._hold(occupation.image)
            etc_folder.add_roots(own_etc, occupation.image, ca_pem=endpoint.ca_pem)
        work.chmod(0o700)
        self._make_cgroup(terms, occupation.limits)
        if terms.uid_base is not None:
            self._take_uid(terms.uid_base, work, home, occupation.user)
            check_way_in(workspace, self.uid)
            for each in occupation.shown:
                if not each.is_shared:
                    self._let_in(each.host)
                else:
                    check_way_in(each.host, self.uid)
        self._end_with_all()
        self.plan = Plan(
            work=work,
            home=home,
            etc=own_etc,
            etc_bound=bound,
            limits=occupation.limits,
            tool_paths=terms.tool_paths,
            shown=occupation.shown,
            work_dir=occupation.work_dir,
            proxy=proxy_variables(endpoint),
            image=occupation.image,
            walls=terms.walls,
        )

    def _acquire_lock(self, workspace: Path) -> None:
        self.lock = workspace_lock.acquire(workspace)
        self.lock_path = str(workspace / workspace_lock.CLAIM)
        self._held.callback(workspace_lock.release, workspace, self.lock)

    def _hold(self, image: SystemImage) -> None:
        """Until `release` the image cannot be removed."""
        try:
            lock = os.open(image.lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise SandboxError(f"the environment in {image.root} was removed") from None
        self._held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"the environment in {image.root} is being removed") from None
        if not image.root.is_dir():
            raise SandboxError(f"the environment in {image.root} was removed")

    def _end_with_all(self) -> None:
        """To be released first: a group or a user id that still has processes cannot be given back."""
        self._held.callback(workspace_lock.end_recorded, self.lock)

    def _take_uid(self, base: int, work: Path, home: Path, user: User | None) -> None:
        shared = user.share() if isinstance(user, uids.Lease) else None
        self._lease = lease = shared or uids.lease(base=base, preferred=work.stat().st_uid)
        self._held.callback(lease.release)
        self.uid = lease.uid
        for folder in (work, home):
            if folder.stat().st_uid != lease.uid:
                foreign_folders.hand_over(folder, lease.uid, lease.uid)

    def _let_in(self, folder: Path) -> None:
        """Lets the sandbox's user read a folder that is not its own."""
        assert self.uid is not None
        status = folder.stat()
        if status.st_uid != self.uid:
            os.chown(folder, -1, self.uid)
            folder.chmod((stat.S_IMODE(status.st_mode) & 0o700) | 0o050)

    def share_user(self) -> User:
        """The user id, so that another sandbox may have it when this one is closed."""
        return SameUser() if self._lease is None else self._lease.share()

    def _make_cgroup(self, terms: EngineTerms, limits: Limits) -> None:
        if terms.cgroups is not None and Wall.MEMORY_LIMIT in terms.walls:
            self.group = terms.cgroups.create(limits.memory_bytes)
            self._held.callback(self.group.remove)

    def release(self) -> None:
        """Gives everything back. Safe to call again."""
        self._held.close()


def check_way_in(folder: Path, uid: int | None) -> None:
    """SandboxError, with the folder's name, when the user cannot get through to `folder`."""
    for place in (folder, *folder.parents):
        status = place.stat()
        bit = 0o100 if status.st_uid == uid else 0o010 if status.st_gid == uid else 0o001
        if not status.st_mode & bit:
            raise SandboxError(
                f"user {uid}, whom sandboxes run as, cannot pass through {place}. Allow it (chmod o+x {place}), "
                "or put the data folder elsewhere, for example under /var/lib"
            )
