"""What the client prints: lines for a person, or one JSON document on each line for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gitward.cli.client.choice import latest_run, short_id
from gitward.cli.client.texts import coloured, one_line, plain

Json = dict[str, Any]
_WIDTH = 100_000  # of a table that goes to no terminal: another program searches it, so nothing is cut off
STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "cancelling": "yellow"}


def document(value: Json) -> None:
    """One line of NDJSON."""
    print(json.dumps(value, ensure_ascii=True, separators=(",", ":")), flush=True)


def console() -> Console:
    """On standard output; without colours where that is no terminal."""
    made = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _WIDTH
    return made


def session_table(sessions: Iterable[Json]) -> None:
    """One row for each, the newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "state", "repository", "title", "pull request", "age"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for each in sessions:
        state = f"{each['state']}: {latest_run(each)['reason']}" if latest_run(each)["reason"] else each["state"]
        pull = each["pull_request"]
        table.add_row(
            short_id(each),
            Text(plain(state), style=STYLES.get(each["state"], "")),
            plain(each["repo"]),
            one_line(each["title"], 48 if console().is_terminal else _WIDTH),
            f"#{pull['number']} {plain(pull['state'])}" if pull else "",
            age(each["created_at"]),
        )
    console().print(table)


def session_page(session: Json) -> None:
    """A session and its latest run, as a person reads it."""
    run, out = latest_run(session), console()
    out.print(Text(f"{session['id']}  ", style="bold") + Text(one_line(session["title"], 90)))
    out.print(f"{plain(session['repo'])}: {plain(session['branch'])} into {plain(session['target_branch'] or '?')}")
    out.print(Text(sentence(run), style=STYLES.get(run["state"], "")))
    for step in run["steps"]:
        seconds = f"{step['seconds']:6.1f} s" if step["seconds"] is not None else ""
        out.print(f"  {step['name']:<14}{step['state']:<10}{seconds}")
    if run["agent"]:
        out.print(f"agent: {plain(run['agent']['name'])} {plain(run['agent']['model'] or '')}".rstrip())
    if run["usage"]:
        out.print(usage_line(run["usage"]))
    if session["pull_request"]:
        out.print(f"pull request: {plain(session['pull_request']['url'])} ({plain(session['pull_request']['state'])})")
    for line in advice(session, run):
        out.print(line)


def sentence(run: Json) -> str:
    """A run's state, and why."""
    why = f" ({plain(run['reason'])})" if run["reason"] else ""
    if run["state"] == "queued" and run["queued_because"]:
        place = f", place {run['queue_place']}" if run["queue_place"] else ""
        return f"run {run['number']}: queued{place}: {plain(run['queued_because'])}"
    message = f": {plain(run['message'])}" if run["message"] else ""
    return f"run {run['number']}: {run['state']}{why}{message}"


def advice(session: Json, run: Json) -> list[str]:
    """What a person can do after a run that did not succeed."""
    name = short_id(session)
    if run["state"] not in ("failed", "cancelled"):
        return []
    lines = [f"output: gitward logs {name}    again: gitward retry {name}"]
    if run["changed"] or any(step["name"] == "execute" for step in run["steps"]):
        kept = "its work is kept" if run["changed"] else "what it changed, if anything, is kept"
        lines.append(f"{kept}: gitward diff {name}; gitward checkout {name}; gitward publish {name}")
    return lines


def usage_line(usage: Json) -> str:
    """What an agent used of models."""
    tokens = sum(int(value) for name, value in usage.items() if name.endswith("_tokens") and value is not None)
    cost = f", {usage['usd']:.2f} USD" if usage.get("usd") is not None else ""
    return f"usage: {usage.get('requests', 0)} requests, {tokens:,} tokens{cost}"


def raw_output(text: str) -> None:
    """A command's own output: with its colours on a terminal, without any sequence elsewhere."""
    sys.stdout.write(coloured(text) if sys.stdout.isatty() else plain(text))
    sys.stdout.flush()


def age(at: str) -> str:
    """How long ago, in one number."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"
