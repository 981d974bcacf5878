"""Runs a command in a checkout and takes its work, with real git and real bubblewrap, and without a service."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitward.grants.endpoint import Nowhere
from gitward.repositories import OBJECTS_DIR, baseline, changes, checkout, git_folder, named_pipes, result, work
from gitward.repositories.baseline import Baseline
from gitward.repositories.changes import Form, Span
from gitward.repositories.checkout import CHECKOUT_DIR, REPO, Origin
from gitward.repositories.git import CommandResult
from gitward.repositories.left_commits import Author
from gitward.repositories.mailbox import carry_returns
from gitward.repositories.refs import HEADER, Refs, parse
from gitward.repositories.remote import Remote
from gitward.repositories.result import RESULT_DIR, Result
from gitward.repositories.start_point import StartPoint
from gitward.repositories.work import Scene, Work
from gitward.sandboxes import WORK_DIR, Command, Limits, Sandbox, Shown, Stream
from gitward.sandboxes.engine import BubblewrapEngine

BRANCH = "gitward/work"
_MIB = 1024 * 1024
_SECONDS = 400.0  # a bound for commands that hang; none comes near it
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": f"upstream{at}"
        for who in ("AUTHOR", "COMMITTER")
        for what, at in (("NAME", ""), ("EMAIL", "@x.org"))
    },
}
# What a run's own git has: an identity, and nothing that asks.
_INSIDE = {
    **{
        f"GIT_{who}_{what}": f"runner{at}"
        for who in ("AUTHOR", "COMMITTER")
        for what, at in (("NAME", ""), ("EMAIL", "@x.org"))
    },
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
}
FIRST = """
printf 'one\\ntwo\\nthree\\n' > README.md; mkdir a b; echo a > a/f; echo b > b/f
printf '#!/bin/sh\\n' > run.sh; chmod 755 run.sh; ln -s README.md link; echo '*.log' > .gitignore
git add -A; git commit -qm first
git switch -qc other; echo other > README.md; git commit -qam other; git switch -q main
echo main > README.md; git commit -qam second
"""


def run(*argv: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """The output of a command on the test's own side, which must succeed. Blocks."""
    ended = subprocess.run(
        argv, cwd=cwd, env={**_ENVIRONMENT, **(env or {})}, input=stdin, capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 0, (argv, ended.stdout.decode(), ended.stderr.decode())
    return ended.stdout


class SandboxFailed(Exception):
    """A guard ended a command."""


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Commands in a sandbox, as `runs` has them, without a log."""

    sandbox: Sandbox
    in_series: bool = False  # none of them runs foreign code

    async def capture(
        self,
        argv: Sequence[str],
        *,
        limit: int,
        cwd: str = CHECKOUT_DIR,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        last: bool = False,
    ) -> CommandResult:
        pieces: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

        async def sink(stream: Stream, piece: bytes) -> None:
            pieces[stream] += piece
            if stream is Stream.STDOUT and len(pieces[stream]) > limit:
                raise SandboxFailed(f"more than {limit} bytes of output of {argv}")

        command = Command(
            argv=tuple(argv),
            cwd=cwd,
            env=dict(env or {}),
            stdin=stdin,
            timeout_seconds=_SECONDS,
            last=last,
            in_series=self.in_series,
        )
        completed = await self.sandbox.run(command, sink)
        if completed.timed_out or completed.limit:
            raise SandboxFailed(f"{argv} ended by {completed.limit or 'time'}")
        complaint = pieces[Stream.STDERR].decode("utf-8", "replace")
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        tail = " / ".join(lines[-4:])[-500:]
        output = bytes(pieces[Stream.STDOUT])
        return CommandResult(exit_code=completed.exit_code, output=output, tail=tail, complaint=complaint)


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A repository at GitHub, as a snapshot has it."""

    path: Path  # a bare repository
    refs: Refs

    def git(self, *arguments: str) -> str:
        return run("git", *arguments, cwd=self.path).decode("utf-8", "surrogateescape").strip()


@dataclass(kw_only=True)
class Taken:
    """The work of a run, in its result; the sandbox of the result is open."""

    upstream: Upstream
    start: StartPoint
    result: Result
    work: Work
    place: Path  # of the result, outside
    workspace: Path
    said: str = ""  # by the command
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def told(self) -> str:
        """All that a person reads about it."""
        return "\n".join([*self.work.notices, *([self.work.problem.message] if self.work.problem else [])])

    @property
    def reason(self) -> str | None:
        return self.work.problem.reason.value if self.work.problem else None

    @property
    def left(self) -> list[str]:
        return [each.kind for each in self.work.left]

    async def changed(self, head: str | None = None) -> dict[str, str]:
        """Path and letter of every file that differs from the start."""
        told = await self.result.bare.do(
            *("diff-tree", "-r", "--no-renames", "--name-status", "-z", self.start.sha, head or self.work.head),
            limit=_MIB,
        )
        fields = told.decode("utf-8", "surrogateescape").split("\0")
        return dict(zip(fields[1::2], fields[0::2], strict=False))

    async def content(self, path: str, head: str | None = None) -> bytes:
        return await self.result.bare.do("cat-file", "blob", f"{head or self.work.head}:{path}", limit=_MIB)

    async def make(self, form: Form) -> bytes:
        left = self.work.left
        head = self.work.head if self.work.changed or not left else left[0].oid
        await changes.name_for_bundle(self.result, self.start.branch, head, left)
        return await changes.make(self.result, form, Span(base=self.start.target_sha, head=head), limit=10 * _MIB)

    def clone(self) -> Path:
        clone = self.workspace / f"clone-{next(self._numbers)}"
        run("git", "clone", "-q", str(self.upstream.path), str(clone), cwd=self.workspace)
        return clone

    async def recovered(self) -> Path:
        """A clone into which the bundle was fetched; its HEAD is what the run is said to have changed."""
        clone = self.clone()
        (clone / ".git/work.bundle").write_bytes(await self.make(Form.BUNDLE))
        run("git", "fetch", "-q", ".git/work.bundle", "+refs/*:refs/kept/*", "HEAD", cwd=clone)
        run("git", "fsck", "--full", cwd=clone)
        run("git", "-c", "core.autocrlf=false", "reset", "-q", "--soft", "FETCH_HEAD", cwd=clone)
        return clone

    async def pushed(self) -> Path:
        """A bare copy of upstream to which the result pushed its head, by the push that a run does."""
        place = self.place / f"pushed-{next(self._numbers)}"
        run("git", "clone", "-q", "--bare", "--no-hardlinks", str(self.upstream.path), str(place), cwd=self.place)
        owner = self.place.stat()
        run("chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(place), cwd=self.place)
        inside = f"{RESULT_DIR}/{place.name}"
        spec = f"{self.work.head}:refs/heads/{BRANCH}"
        await self.result.bare.do("push", "-q", "--no-verify", "--force", "--", inside, spec)
        run("chown", "-R", f"{os.geteuid()}:{os.getegid()}", str(place), cwd=self.place)
        return place

    async def trees(self, *, patch: bool = True) -> set[str]:
        """The trees that diff, patch, bundle and push lead to, as other people's git sees them. They must be one."""
        ours = (await self.result.bare.do("rev-parse", f"{self.work.head}^{{tree}}")).decode().strip()
        recovered = await self.recovered()
        bundle = run("git", "rev-parse", "HEAD^{tree}", cwd=recovered).decode().strip()
        pushed = run("git", "rev-parse", f"{BRANCH}^{{tree}}", cwd=await self.pushed()).decode().strip()
        found = {ours, bundle, pushed}
        clone = self.clone()
        index = {"GIT_INDEX_FILE": str(clone / ".git/applied")}  # no file is written, so no attribute counts
        base = run("git", "merge-base", self.start.target_sha, "FETCH_HEAD", cwd=recovered).decode().strip()
        run("git", "read-tree", base, cwd=clone, env=index)
        run("git", "apply", "--cached", "--binary", cwd=clone, env=index, stdin=await self.make(Form.DIFF))
        found.add(run("git", "write-tree", cwd=clone, env=index).decode().strip())
        if patch:
            run("git", "checkout", "-q", base, cwd=clone)
            run("git", "am", "-q", "--keep-cr", cwd=clone, stdin=carry_returns(await self.make(Form.PATCH)))
            found.add(run("git", "rev-parse", "HEAD^{tree}", cwd=clone).decode().strip())
        return found

    async def submodules(self) -> bytes:
        assert self.work.submodules is not None
        return await changes.make_submodules(self.result, self.work.submodules, limit=10 * _MIB)


class Workbench:
    """One engine and one folder for any number of runs."""

    def __init__(self, engine: BubblewrapEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._upstreams: dict[str, Upstream] = {}
        self._numbers = itertools.count(1)

    def upstream(self, script: str = "") -> Upstream:
        """A repository whose main, other and further branches a script makes, after that of every repository."""
        if script not in self._upstreams:
            self._upstreams[script] = self._make_upstream(f"set -e\n{FIRST}\n{script}")
        return self._upstreams[script]

    def _make_upstream(self, script: str) -> Upstream:
        place = self._folder / f"upstream-{next(self._numbers)}"
        tree, bare = place / "tree", place / "demo.git"
        tree.mkdir(parents=True)
        run("git", "init", "-q", "-b", "main", cwd=tree)
        run("/bin/bash", "-c", script, cwd=tree, env={"UPSTREAM": str(place)})
        run("git", "clone", "-q", "--bare", str(tree), str(bare), cwd=place)
        run("git", "repack", "-adq", cwd=bare)
        run("chmod", "-R", "a+rX", str(bare), cwd=place)
        lines = run("git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", cwd=bare)
        return Upstream(path=bare, refs=parse(HEADER + lines))

    @contextlib.asynccontextmanager
    async def run(
        self, command: str, *, upstream: str = "", follows: str | None = None, shown: Sequence[Shown] = ()
    ) -> AsyncIterator[Taken]:
        """The work that a command leaves in a fresh checkout of main, or of an earlier run's branch `follows`."""
        there = self.upstream(upstream)
        workspace = self._folder / f"run-{next(self._numbers)}"
        (workspace / "work").mkdir(parents=True)
        start = _start(there, follows)
        objects = Shown(host=there.path / "objects", inside=OBJECTS_DIR)
        sandbox = await self._open(workspace, [objects, *shown])
        user = sandbox.share_user()
        try:
            try:
                noted = await _check_out(Runner(sandbox=sandbox, in_series=True), workspace, there, start)
                ended = await Runner(sandbox=sandbox).capture(
                    ("/bin/bash", "-c", command), limit=_MIB, env=_INSIDE, cwd=CHECKOUT_DIR, last=True
                )
                assert ended.exit_code == 0, ended.complaint
            finally:
                await sandbox.close()
            tree = Shown(host=workspace / "work", inside=WORK_DIR)
            seen = await self._engine.open(
                name=f"{workspace.name}-result",
                workspace=workspace / "result",
                endpoint=Nowhere(),
                limits=Limits(),
                shown=[objects, tree],
                user=user,
                work_dir=RESULT_DIR,
            )
            try:
                yield await _take(Runner(sandbox=seen, in_series=True), workspace, there, noted, ended.output.decode())
            finally:
                await seen.close()
        finally:
            user.release()

    async def _open(self, workspace: Path, shown: Sequence[Shown]) -> Sandbox:
        return await self._engine.open(
            name=workspace.name, workspace=workspace, endpoint=Nowhere(), limits=Limits(), shown=shown
        )


def _start(there: Upstream, follows: str | None) -> StartPoint:
    target = there.refs.get("refs/heads/main")
    branch = there.refs.get(f"refs/heads/{follows}") if follows else None
    assert target is not None
    return StartPoint(
        branch=follows or BRANCH, target_branch="main", sha=branch or target, target_sha=target, branch_sha=branch
    )


async def _check_out(runner: Runner, workspace: Path, there: Upstream, start: StartPoint) -> Baseline:
    origin = Origin(url="https://github.com/octo/demo.git", refs=there.refs)
    await asyncio.to_thread(checkout.make_git_folder, workspace, origin, start)
    ended = await checkout.write_tree(runner)
    assert ended.exit_code == 0, ended.complaint
    folder = git_folder.read(workspace / "work", f"{REPO}/.git")
    assert folder is not None
    noted = Baseline(run_id="run_1", attempt=1, repository="octo/demo", start=start, index=folder.index)
    baseline.begin(workspace)
    baseline.note(workspace, noted, there.refs.raw)
    return noted


async def _take(runner: Runner, workspace: Path, there: Upstream, noted: Baseline, said: str) -> Taken:
    place = workspace / "result" / "work"
    remote = Remote(url="https://github.com/octo/demo.git", credential="none")
    result.prepare(place, start=noted.start, index=baseline.index_path(workspace), remote=remote)
    made = Result(runner, place, noted.start)
    scene = Scene(
        workspace=workspace,
        baseline=noted,
        upstream=frozenset(oid for _, oid in there.refs),
        author=Author(name="author", email="author@x.org"),
        message="Do it",
        trailers=("Gitward-Session: ses_1",),
    )
    await named_pipes.remove(runner, workspace)
    taken = await work.take(made, scene)
    return Taken(
        upstream=there, start=noted.start, result=made, work=taken, place=place, workspace=workspace, said=said
    )


@contextlib.asynccontextmanager
async def workbench() -> AsyncIterator[Workbench]:
    """A folder that a sandbox's user can get to, and an engine."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-work-"))
    folder.chmod(0o711)
    engine = BubblewrapEngine(slots=8)
    await engine.start()
    try:
        yield Workbench(engine, folder)
    finally:
        await engine.stop()
        shutil.rmtree(folder)
