"""`gitward run --repos FILE`: one session for each repository, a few at a time, and again only where it is needed."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from rich.live import Live
from rich.table import Table
from rich.text import Text

from gitward.cli.client import output
from gitward.cli.client.actions import connect
from gitward.cli.client.choice import latest_run, short_id
from gitward.cli.client.errors import ClientError, Conflict, refused
from gitward.cli.client.requests import Wish, session_body
from gitward.cli.client.service import Service
from gitward.cli.client.texts import one_line, plain
from gitward.errors import EXIT_CODE, Exit

Json = dict[str, Any]
T = TypeVar("T")
_MOST = 5_000  # repositories of one file
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 300.0  # while the service is away
_UNFINISHED = ("queued", "running", "cancelling")
_UNPUBLISHED = ("push_rejected", "pull_request_failed")  # the work was done; only what comes after it failed


class Todo(StrEnum):
    """What a repository of the file needs."""

    POST = "to post"
    AGAIN = "to run again"
    WATCH = "runs"
    NOTHING = "has its pull request"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One repository of the file."""

    repo: str
    todo: Todo
    session: Json | None = None
    refusal: str = ""  # why nothing was posted

    @property
    def state(self) -> str:
        if self.refusal:
            return "refused"
        if self.session is None:
            return "waiting"
        return "skipped" if self.todo is Todo.NOTHING else str(self.session["state"])

    @property
    def reason(self) -> str:
        if self.refusal or self.session is None:
            return self.refusal
        if self.session["pull_request"]:
            return str(self.session["pull_request"]["url"])
        run = latest_run(self.session)
        return str(run["reason"] or ("no change" if run["changed"] is False else ""))


def run(file: Path, repo: str | None, wish: Wish, *, at_once: int, as_json: bool, **more: Any) -> int:
    """0 when every repository has what it should have, 1 when one failed or was refused."""
    if repo is not None:
        raise refused("give a repository or --repos, not both")
    if more.get("branch"):
        raise refused("--branch names one session's branch; leave it out with --repos")
    names = repositories(file)
    wish.instruction()  # refused before anything is posted
    label = (more.pop("labels", None) or [f"{file.stem[:40]}-{_digest(sorted(names))[:6]}"])[0]
    with connect() as service, _shown(as_json=as_json) as show:
        campaign = Campaign(service, wish, label=label, more=more, show=show)
        campaign.begin(names)
        try:
            campaign.work(at_once)
        except KeyboardInterrupt:
            raise ClientError(
                "detached; what was posted goes on. The same command continues where it was", exit=Exit.DETACHED
            ) from None
    _summary(label, campaign.rows.values(), as_json=as_json)
    failed = any(row.state in ("failed", "cancelled", "refused") for row in campaign.rows.values())
    return EXIT_CODE[Exit.FAILED if failed else Exit.SUCCEEDED]


def repositories(file: Path) -> list[str]:
    """One `owner/repo` on each line; `#` begins a comment; a second mention counts once.

    :raises ClientError: a line is something else, and which.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()  # PowerShell begins files with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise refused(f"{file}: cannot be read ({type(error).__name__})") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip()
        if name and not _NAME.fullmatch(name):
            raise refused(f"{file}, line {number}: {one_line(name, 60)!r} is not a repository; write owner/repo")
        if name:
            found.setdefault(name.lower(), name)
    if not found:
        raise refused(f"{file}: names no repository")
    if len(found) > _MOST:
        raise refused(f"{file}: at most {_MOST:,} repositories")
    return list(found.values())


class Campaign:
    """The repositories of one file, by name in lower case."""

    def __init__(
        self,
        service: Service,
        wish: Wish,
        *,
        label: str,
        more: Json,
        show: Callable[[Iterable[Row], Row | None], None],
    ) -> None:
        """:param more: of each session's body: target branch, title."""
        self.rows: dict[str, Row] = {}
        self._service, self._wish, self._label, self._more, self._show = service, wish, label, more, show

    def begin(self, names: list[str]) -> None:
        """Finds out what each needs."""
        known = self._sessions()
        for name in names:
            self._put(_row(name, known.get(name.lower())))

    def work(self, at_once: int) -> None:
        """Posts and watches until nothing is left to do."""
        while True:
            running = sum(row.state in _UNFINISHED for row in self.rows.values())
            for row in [each for each in self.rows.values() if each.todo in (Todo.POST, Todo.AGAIN)]:
                if running >= at_once:
                    break
                running += self._post(row)
            waiting = any(row.todo in (Todo.POST, Todo.AGAIN) for row in self.rows.values())
            if not waiting and not any(row.state in _UNFINISHED for row in self.rows.values()):
                return
            time.sleep(_POLL_SECONDS)
            for row in [each for each in self.rows.values() if each.state in _UNFINISHED]:
                self._look_at(row)

    def _post(self, row: Row) -> bool:
        """Whether it is under way now; a refusal is this repository's alone."""
        try:
            if row.session is None:
                body = session_body(self._wish, row.repo, labels=[self._label], **self._more)
                key = f"many-{_digest([self._label, row.repo.lower(), body])}"
                session = self._patiently(lambda: self._service.post("/sessions", body, key=key))
            else:
                path = f"/sessions/{row.session['id']}"
                self._again(path, latest_run(row.session))
                session = self._patiently(lambda: self._service.get(path))
        except ClientError as error:
            if error.exit is not Exit.USAGE:
                raise
            self._put(replace(row, todo=Todo.NOTHING, refusal=str(error)))
            return False
        self._put(replace(row, todo=Todo.WATCH, session=session))
        return True

    def _again(self, path: str, failed: Json) -> None:
        """Work that is kept is proposed, not done a second time upon the first; too much work is not kept."""
        if failed["reason"] in _UNPUBLISHED and failed["changed"]:
            with suppress(Conflict):
                self._service.post(f"{path}/runs/{failed['id']}/publish")
                return
        self._service.post(f"{path}/runs", self._wish.instruction())

    def _look_at(self, row: Row) -> None:
        assert row.session is not None
        path = f"/sessions/{row.session['id']}"
        session = self._patiently(lambda: self._service.get(path))
        if session != row.session:
            self._put(replace(row, session=session))

    def _sessions(self) -> dict[str, Json]:
        """The newest of each repository."""

        def look() -> dict[str, Json]:
            newest: dict[str, Json] = {}
            for each in self._service.sessions(most=_MOST, label=self._label):
                newest.setdefault(each["repo"].lower(), each)
            return newest

        return self._patiently(look)

    def _patiently(self, call: Callable[[], T]) -> T:
        """A service that restarts does not end a campaign of hours."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except ClientError as error:
                if error.exit is not Exit.SERVER or time.monotonic() > until:
                    raise
                time.sleep(2 * _POLL_SECONDS)

    def _put(self, row: Row) -> None:
        before = self.rows.get(row.repo.lower())
        self.rows[row.repo.lower()] = row
        changed = before is None or (before.state, before.reason) != (row.state, row.reason)
        self._show(self.rows.values(), row if changed else None)


def _row(name: str, session: Json | None) -> Row:
    if session is None:
        return Row(repo=name, todo=Todo.POST)
    if session["state"] in _UNFINISHED:
        return Row(repo=name, todo=Todo.WATCH, session=session)
    done = session["pull_request"] or session["state"] == "succeeded"
    return Row(repo=name, todo=Todo.NOTHING if done else Todo.AGAIN, session=session)


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Callable[[Iterable[Row], Row | None], None]]:
    """A live table on a terminal, else one line for each change."""
    out = output.console()
    live = Live(console=out, refresh_per_second=4, vertical_overflow="visible") if out.is_terminal else None

    def show(rows: Iterable[Row], changed: Row | None) -> None:
        if as_json:
            if changed is not None:
                output.document(_document(changed))
        elif live is not None:
            live.update(_table(rows))
        elif changed is not None:
            out.print(f"{changed.repo}: {changed.state} {plain(changed.reason)}".rstrip())

    with live if live is not None and not as_json else nullcontext():
        yield show


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("repository", "session", "state", ""):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in rows:
        style = output.STYLES.get(row.state, "")
        session = short_id(row.session) if row.session else ""
        table.add_row(row.repo, session, Text(row.state, style=style), one_line(row.reason, 80))
    return table


def _document(row: Row) -> Json:
    session = row.session["id"] if row.session else None
    return {"repo": row.repo, "session": session, "state": row.state, "reason": row.reason}


def _summary(label: str, rows: Iterable[Row], *, as_json: bool) -> None:
    counted = Counter(
        f"{row.state}: {plain(row.reason)}" if row.state in ("failed", "cancelled") and row.reason else row.state
        for row in rows
    )
    if as_json:
        output.document({"label": label, "summary": dict(counted)})
        return
    out = output.console()
    for state, count in counted.most_common():
        out.print(f"{count:5}  {state}")
    out.print(f"label: {label}    gitward sessions --label {label}")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
