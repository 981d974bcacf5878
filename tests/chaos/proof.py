"""What must be true when all is over, looked for in GitHub's repository, the database, and the machine."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from gitward.grants import cgroups
from gitward_standin import Repository

from .database import Database
from .load import Expected

Json = dict[str, Any]


class Verdict(StrEnum):
    """What kind of harm it is."""

    LOST = "lost"  # something did not come to its end
    DOUBLED = "doubled"  # something happened twice
    LEFT = "left over"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One thing that must not be."""

    verdict: Verdict
    sentence: str


END_SECONDS = 10.0  # for processes that were told to end


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A session of the load, as the API shows it at the end."""

    expected: Expected
    session: Json
    retried: tuple[str, ...]  # reasons of its runs that failed by a fault and were retried


async def of_session(ended: Ended, repository: Repository) -> list[Wrong]:
    """What is wrong with a session; nothing is the good answer."""
    expected, session = ended.expected, ended.session
    states = tuple(run["state"] for run in session["runs"] if not _was_retried(run, session["runs"]))
    wrong = []
    if states != expected.states:
        why = [f"{run['reason']}: {run['message']}" for run in session["runs"] if run["reason"]]
        wrong.append(_lost(f"its runs ended {states}, expected {expected.states}; {' | '.join(why)}"))
    pulls = sum(pull.head == session["branch"] for pull in repository.pulls)
    wanted = 1 if expected.changes else 0
    if pulls != wanted:
        wrong.append(_more_or_less(pulls, wanted, "pull requests"))
    there = session["branch"] in await repository.branches()
    if there and not expected.changes:
        wrong.append(_doubled("its branch is there, though nothing was to be pushed"))
    elif expected.changes and not there:
        wrong.append(_lost("its branch is not there"))
    elif expected.changes:
        wrong += await _of_branch(expected, session, repository)
    return [replace(each, sentence=f"{expected.name} ({session['id']}): {each.sentence}") for each in wrong]


def _lost(sentence: str) -> Wrong:
    return Wrong(verdict=Verdict.LOST, sentence=sentence)


def _doubled(sentence: str) -> Wrong:
    return Wrong(verdict=Verdict.DOUBLED, sentence=sentence)


def _left(sentence: str) -> Wrong:
    return Wrong(verdict=Verdict.LEFT, sentence=sentence)


def _more_or_less(number: int, wanted: int, what: str) -> Wrong:
    return (_doubled if number > wanted else _lost)(f"{number} {what}, expected {wanted}")


def _was_retried(run: Json, runs: Sequence[Json]) -> bool:
    return any(other["retry_of"] == run["id"] for other in runs)


async def _of_branch(expected: Expected, session: Json, repository: Repository) -> list[Wrong]:
    wrong = []
    branch = f"refs/heads/{session['branch']}"
    names = sorted((await repository.run_git("diff", "--name-only", "main", branch)).decode().split())
    if names != sorted(expected.files):
        wrong.append(_lost(f"the branch changes {names}, expected {sorted(expected.files)}"))
    for name in sorted(set(names) & set(expected.files)):
        content = (await repository.run_git("cat-file", "blob", f"{branch}:{name}")).decode()
        if content != expected.files[name]:
            wrong.append(_lost(f"{name} holds {content!r}"))
    commits = await repository.commits_between("main", session["branch"])
    if commits != expected.changes:
        wrong.append(_more_or_less(commits, expected.changes, "commits"))
    heads = [run["head_sha"] for run in session["runs"] if run["changed"] and run["state"] == "succeeded"]
    # A worker that was lost after its push told nobody the head; then the retry finds nothing to change.
    unknown = any(run["retry_of"] and run["state"] == "succeeded" and not run["changed"] for run in session["runs"])
    if heads and not unknown and heads[-1] != await repository.head(session["branch"]):
        wrong.append(_lost("the branch does not stand at the last run's head_sha"))
    return wrong


async def of_repository(endings: Sequence[Ended], repository: Repository, main: str | None) -> list[Wrong]:
    """What no session accounts for."""
    wrong = []
    known = {each.session["branch"] for each in endings} | {"main"}
    strange = (set(await repository.branches()) | {pull.head for pull in repository.pulls}) - known
    if strange:
        wrong.append(_doubled(f"branches or pull requests that nobody asked for: {sorted(strange)}"))
    if await repository.head("main") != main:
        wrong.append(_doubled("main was moved"))
    return wrong


async def of_database(database: Database) -> list[Wrong]:
    """Doubled or missing events, jobs and locks that nobody holds rightly. To be asked when no worker is left."""
    wrong = []
    for make, sentence, query in (
        (_lost, "runs that have not ended", _UNFINISHED),
        (_lost, "runs without run.ended", _ENDS.format("=", 0)),
        (_doubled, "runs with more than one run.ended", _ENDS.format(">", 1)),
        (_lost, "sessions whose events have gaps", _GAPS),
        (_left, "jobs that are not finished", _JOBS),
        (_left, "workers that have not left the list", "SELECT count(*) FROM workers"),
        (_left, "locks", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
    ):
        count = await database.number(query)
        if count:
            wrong.append(make(f"{count} {sentence}"))
    return wrong


_UNFINISHED = "SELECT count(*) FROM runs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')"
_ENDS = """SELECT count(*) FROM (SELECT runs.id FROM runs LEFT JOIN events
  ON events.run_id = runs.id AND events.session_id = runs.session_id AND events.type = 'run.ended'
  GROUP BY runs.id HAVING count(events.seq) {} {}) AS strange"""
_GAPS = """SELECT count(*) FROM (SELECT sessions.id FROM sessions JOIN events ON events.session_id = sessions.id
  GROUP BY sessions.id, sessions.last_seq
  HAVING count(*) <> sessions.last_seq OR max(events.seq) <> sessions.last_seq) AS strange"""
_JOBS = "SELECT count(*) FROM tickets"


def of_homes(folders: Sequence[Path]) -> list[Wrong]:
    """Sandboxes' homes that were not emptied."""
    return [
        _left(f"what lies in a sandbox's home: {path}")
        for folder in folders
        for path in folder.glob("data/workspaces/*/home/*")
    ]


def of_logs(logs: Sequence[Path]) -> list[Wrong]:
    """Errors of our own that ended a run, with their tracebacks."""
    return [
        _lost(found.group().rstrip())
        for log in logs
        for found in _UNEXPECTED.finditer(log.read_text(encoding="utf-8", errors="replace"))
    ]


_UNEXPECTED = re.compile(r"^.* failed unexpectedly\n(?:(?!\d{4}-\d\d-\d\d ).*\n)*", re.MULTILINE)


async def of_machine(before: Machine) -> list[Wrong]:
    """Processes, mounts and cgroups that are left over when all was ended."""
    deadline = asyncio.get_running_loop().time() + END_SECONDS
    while _started() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
    left = [f"the process {pid}: {_command(pid)}" for pid in _started()]
    after = Machine.now()
    left += [f"the mount {mount}" for mount in sorted(after.mounts - before.mounts)]
    left += [f"the cgroup {group}" for group in sorted(after.cgroups - before.cgroups)]
    return [_left(sentence) for sentence in left]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of a machine outlives processes."""

    mounts: frozenset[str]
    cgroups: frozenset[str]

    @classmethod
    def now(cls) -> Machine:
        mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
        controller = cgroups.find()  # below it, as this process would make them; other folders are others'
        groups = {str(path) for path in controller.folder.glob(f"{cgroups.PREFIX}*")} if controller else set()
        return cls(mounts=frozenset(mounts), cgroups=frozenset(groups))


def _started() -> list[int]:
    """Living processes that this one has started: its parent is the subreaper of them all."""
    return [pid for pid in _descendants(os.getppid()) if pid != os.getpid()]


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return found  # gone meanwhile
    for child in children:
        if _is_alive(child):
            found += [child, *_descendants(child)]
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "gone meanwhile"
