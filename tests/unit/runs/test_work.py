"""The end of step `work` is told by what ended it, not by what goes wrong while it is tidied up."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connections import given
from gitward.broker import BrokerError
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.github.preflight import Facts
from gitward.github.tokens import Access, Identity, Token
from gitward.grants.grant import ExactPush
from gitward.grants.lease import Lease, LeaseLost
from gitward.repositories.mirrors import Source, Tell
from gitward.repositories.refs import Refs, parse
from gitward.runs.facts import WORK, WorkResult
from gitward.runs.services import JobServices, JobSettings
from gitward.runs.storage.disk_guard import DiskGuard
from gitward.runs.storage.trash import Trash
from gitward.runs.work import work
from gitward.sandboxes import Command, Completed, Limits, OnOutput, SandboxError, User
from gitward.sandboxes.sandbox_resources import SameUser
from gitward.sessions.model import Instruction, Owner
from tests_support import Backend

SHA = "a" * 40
TOKEN = "ghp_" + "0123456789" * 4
FACTS = Facts(
    repository="acme/widgets",
    repository_id=1,
    default_branch="main",
    target_branch="main",
    target_sha="1" * 40,
    branch_sha=None,
    identity=Identity(login="octocat", name="The Octocat", email="octocat@example.com"),
)


class Scene:
    """Engine, sandbox and broker in one: every command succeeds but for those that `failing` names."""

    def __init__(self) -> None:
        self.failing: dict[str, Exception | int] = {}  # by a word of the command line
        self.hanging = ""  # a word of the command line of a command that only a cancellation ends
        self.ended: list[str] = []  # how the hanging command was left
        self.commands: list[Command] = []
        self.credential = "worthless"
        self.closing: Exception | None = None  # of the sandbox
        self.grant_closing: Exception | None = None
        self.opening: Exception | None = None  # of the grant
        self.lease = Lease()
        self.before: dict[str, Callable[[], None]] = {}  # by a word of the command line: what happens as it begins

    async def open(self, *, workspace: Path, **_named: Any) -> Scene:
        for name in ("work", "home"):
            (workspace / name).mkdir(parents=True, exist_ok=True)
        return self

    def share_user(self) -> User:
        return SameUser()

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        del data, mode
        if error := self.failing.get(path):
            assert isinstance(error, Exception)
            raise error

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        self.commands.append(command)
        line = " ".join(command.argv)
        for word, happen in self.before.items():
            if word in line:
                happen()
        if self.hanging and self.hanging in line:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(line)
        exit_code = 0
        for word, outcome in self.failing.items():
            if word in line:
                if isinstance(outcome, Exception):
                    raise outcome
                exit_code = outcome
        return Completed(exit_code=exit_code, timed_out=False, cancelled=False, seconds=0.0, limit=None)

    async def close(self) -> None:
        if self.closing is not None:
            raise self.closing


class SceneGrant:
    """The open grant of a scene."""

    credential = "worthless"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def narrow(self, push: ExactPush) -> None:
        assert push.ref.startswith("refs/heads/gitward/")

    async def close(self) -> None:
        if self._scene.grant_closing is not None:
            raise self._scene.grant_closing


async def run_in(scene: Scene, backend: Backend, owner: Owner, root: Path) -> WorkResult:
    async def take(_access: Access) -> Token:
        return given(TOKEN)

    async def open_grant(*_arguments: Any, **_named: Any) -> SceneGrant:
        if scene.opening is not None:
            raise scene.opening
        return SceneGrant(scene)

    async def take_injected() -> tuple[()]:
        return ()

    async def snapshot(_source: Source, into: Path, _tell: Tell) -> Refs:
        assert into.is_dir()
        return parse(f"{SHA} refs/heads/main\n".encode())

    session = await backend.create(owner, instruction=Instruction(command="make"))
    (root / session.id / "home").mkdir(parents=True)
    (root / session.id / "home" / "hosts.yml").write_text("oauth_token: x\n")
    services = SimpleNamespace(
        database=backend.database,
        notifier=backend.notifier,
        progress=backend.progress(),
        lease=scene.lease,
        tokens=SimpleNamespace(take=take),
        brokers=SimpleNamespace(open=open_grant),
        sandboxes=scene,
        inspector=None,
        mirrors=SimpleNamespace(take=snapshot),
        trash=Trash(),
        disk=DiskGuard(root),
        injected=SimpleNamespace(take=take_injected),
        settings=JobSettings(
            server_url="https://github.com",
            session_url="http://localhost:8000/sessions",
            workspaces=root,
            run_timeout_seconds=60,
            limits=Limits(),
        ),
    )
    return await work(cast(JobServices, services), session.runs[0].id, FACTS)


async def failure_in(scene: Scene, backend: Backend, owner: Owner, root: Path) -> RunFailure:
    with pytest.raises(RunFailure) as failure:
        await run_in(scene, backend, owner, root)
    return failure.value


async def test_a_salvage_that_fails_does_not_replace_the_reason(backend: Backend, alice: Owner, tmp_path: Path) -> None:
    scene = Scene()
    scene.failing = {"/bin/bash": 3, "diff-files": SandboxError("the launcher is gone")}
    failure = await failure_in(scene, backend, alice, tmp_path)
    assert (failure.reason, failure.exit_code) == (Reason.TASK_FAILED, 3)


async def test_a_grant_that_cannot_be_closed_does_not_replace_the_result(
    backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    scene = Scene()
    scene.grant_closing = GitwardError("the broker process crashed and could not be replaced in time")
    assert (await run_in(scene, backend, alice, tmp_path)).exit_code == 0


async def test_the_home_is_wiped_also_when_the_sandbox_cannot_be_closed(
    backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    scene = Scene()
    scene.closing = OSError("no space left")
    with pytest.raises(OSError, match="no space left"):
        await run_in(scene, backend, alice, tmp_path)
    assert list(tmp_path.glob("*/home/*")) == []


async def test_a_failure_of_the_sandbox_does_not_quote_the_token(
    backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    scene = Scene()
    scene.failing = {"/bin/bash": SandboxError(f"the supervisor died: {TOKEN}")}
    failure = await failure_in(scene, backend, alice, tmp_path)
    assert failure.reason is Reason.SANDBOX_FAILED
    assert TOKEN not in failure.message


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("nobody expects it"), Reason.INTERNAL),
        (OSError(errno.ENOENT, "No such file or directory"), Reason.INTERNAL),
        (BrokerError("the broker ended and could not be replaced in time"), Reason.SANDBOX_FAILED),
    ],
)
async def test_work_is_kept_whatever_ends_the_run(
    error: Exception, reason: Reason, backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    scene = Scene()
    scene.failing = {"/bin/bash": error}
    failure = await failure_in(scene, backend, alice, tmp_path)
    assert failure.reason is reason
    assert any("diff-files" in command.argv for command in scene.commands)  # so is work taken


@pytest.mark.parametrize(
    ("outcome", "waits"),
    [
        (3, False),
        (KeyError("nobody expects it"), True),
        (BrokerError("is gone"), True),
        (SandboxError("the launcher is gone"), True),
    ],
)
async def test_work_that_cannot_be_kept_waits_after_an_error_of_ours(
    outcome: int | Exception, waits: bool, backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    """A command of which nothing can be kept is not tried again with each next run of the session."""
    scene = Scene()
    scene.failing = {"/bin/bash": outcome, "diff-files": SandboxError("the launcher is gone")}
    await failure_in(scene, backend, alice, tmp_path)
    assert bool(list(tmp_path.glob("*/baseline"))) is waits


async def test_a_worker_whose_lease_is_over_keeps_nothing(backend: Backend, alice: Owner, tmp_path: Path) -> None:
    """Another one may have the run; an error may be for no other reason."""
    scene = Scene()

    def end_the_lease() -> None:
        scene.lease.give_up()

    scene.before = {"/bin/bash": end_the_lease}
    scene.failing = {"/bin/bash": KeyError("nobody expects it")}
    with pytest.raises(LeaseLost):
        await run_in(scene, backend, alice, tmp_path)
    assert not any("diff-files" in command.argv for command in scene.commands)
    assert list(tmp_path.glob("*/baseline"))


async def test_a_broker_that_cannot_be_had_is_no_unexpected_error(
    backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    scene = Scene()
    scene.opening = BrokerError("the brokers' parent ended and could not be replaced in time")
    ended = await WORK._ended("run", run_in(scene, backend, alice, tmp_path))
    assert ended["failure"]["reason"] == Reason.SANDBOX_FAILED
    assert "could not be replaced in time" in ended["failure"]["message"]


async def test_gh_that_cannot_write_for_git_says_nothing_about_the_token(
    backend: Backend, alice: Owner, tmp_path: Path
) -> None:
    """git, which writes for it, does not tell that the disk is full."""
    scene = Scene()
    scene.failing = {"setup-git": 1}
    failure = await failure_in(scene, backend, alice, tmp_path)
    assert failure.reason is Reason.SANDBOX_FAILED


async def test_a_failed_authentication_leaves_no_command_behind(backend: Backend, alice: Owner, tmp_path: Path) -> None:
    scene = Scene()
    scene.failing = {"/home/gitward/.gitconfig": SandboxError("the disk is full")}
    scene.hanging = "gh auth login"
    failure = await failure_in(scene, backend, alice, tmp_path)
    assert failure.reason is Reason.SANDBOX_FAILED
    assert len(scene.ended) == 1


async def test_only_the_command_itself_has_a_sandbox_of_its_own(backend: Backend, alice: Owner, tmp_path: Path) -> None:
    """Gitward's own programs, before it and after it, run no foreign code."""
    scene = Scene()
    await run_in(scene, backend, alice, tmp_path)
    assert {command.argv[0] for command in scene.commands if not command.in_series} == {"/bin/bash"}
    assert {command.argv[0] for command in scene.commands if command.in_series} >= {"gh", "git", "find"}
