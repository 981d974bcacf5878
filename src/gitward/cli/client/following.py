"""Shows a run while it happens, until it ends or the person leaves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any

from rich.console import Console
from rich.text import Text

from gitward.cli.client import output
from gitward.cli.client.choice import short_id
from gitward.cli.client.errors import ClientError
from gitward.cli.client.service import Service
from gitward.cli.client.texts import coloured, one_line, plain
from gitward.errors import EXIT_CODE, Exit

Json = dict[str, Any]
_LONGEST_LINE = 64 * 1024  # characters; what is longer is shown in pieces
EXITS = {"succeeded": Exit.SUCCEEDED, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}


def follow(service: Service, session: Json, run: Json, *, as_json: bool, after: int = 0) -> int:
    """The exit code that tells how the run ended."""
    view: Callable[[Json], None] = output.document if as_json else RunView()
    ended: Json | None = None
    try:
        with contextlib.closing(_watched(service, session, run, after)) as events:
            for event in events:
                view(event)
                if event["type"] == "run.ended":
                    ended = event["data"]
    except KeyboardInterrupt:
        name = short_id(session)
        sentence = f"detached; the run goes on. Come back: gitward logs -f {name}    end it: gitward cancel {name}"
        raise ClientError(sentence, exit=Exit.DETACHED) from None
    finally:
        if isinstance(view, RunView):
            view.close()
    if ended is None:
        raise ClientError("the stream ended before the run did; see `gitward show`", exit=Exit.SERVER)
    if not as_json:
        output.session_page(service.get(f"/sessions/{session['id']}"))
    return EXIT_CODE[EXITS[ended["state"]]]


def _watched(service: Service, session: Json, run: Json, after: int) -> Generator[Json]:
    yield from service.events(session["id"], run=run["id"], after=after)


class RunView:
    """Prints a line for what ended, and on a terminal shows below it what goes on."""

    def __init__(self) -> None:
        self._out: Console = output.console()
        self._status = self._out.status("queued") if self._out.is_terminal else None
        self._message = ""  # the agent's message whose pieces come now
        self._rest = ""  # of a line whose end has not come yet
        if self._status is not None:
            self._status.start()

    def __call__(self, event: Json) -> None:
        data = event["data"]
        match event["type"]:
            case "step.started":
                self._now(data["step"])
            case "step.ended":
                self._line(Text(f"{data['step']:<14}{data['state']:<10}{data['seconds']:6.1f} s", style="dim"))
            case "step.retrying":
                self._line(Text(f"waits {data['seconds']:.0f} s: {plain(data['cause'])}", style="yellow"))
            case "output":
                self._text("", data["text"])
            case "agent.message":
                self._text(data["message"], data["text"])
            case "agent.tool":
                if data["status"] in ("completed", "failed"):
                    mark = "✓" if data["status"] == "completed" else "✗"
                    self._line(Text(f"{mark} {one_line(data['title'] or data['kind'], 100)}", style="cyan"))
            case "policy.denied":
                self._line(Text(f"refused: {plain(data['message'])}", style="yellow"))
            case "notice":
                self._line(Text(f"notice: {plain(data['message'])}", style="yellow"))
            case "branch.pushed":
                self._line(Text(f"pushed {plain(data['branch'])} at {plain(data['head_sha'][:12])}"))

    def close(self) -> None:
        self._end_line()
        if self._status is not None:
            self._status.stop()

    def _now(self, step: str) -> None:
        if self._status is not None:
            self._status.update(f"{plain(step)} since {time.strftime('%H:%M:%S')}")

    def _line(self, text: Text) -> None:
        self._end_line()
        self._out.print(text)

    def _text(self, message: str, text: str) -> None:
        """Pieces of one text follow each other without a break between them; only whole lines are shown."""
        if message != self._message:
            self._end_line()
            self._message = message
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self._out.print(Text.from_ansi(coloured(line)) if self._out.is_terminal else plain(line))

    def _end_line(self) -> None:
        if self._rest:
            self._out.print(Text.from_ansi(coloured(self._rest)) if self._out.is_terminal else plain(self._rest))
        self._rest, self._message = "", ""
