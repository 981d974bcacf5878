"""`gitward demo`: the main job on this machine, from the POST to the pull request, with real parts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2

from gitward.audit.local_service import REPOSITORY, World, made_up_token, world
from gitward.cli.demo_model import check_agent, modelled_world
from gitward.cli.demo_proof import Proof, prove
from gitward.cli.tools import missing
from gitward.errors import EXIT_CODE, Exit, GitwardError, SettingsError
from gitward.settings.environment import exported_token

DEFAULT_COMMAND = """\
echo "Working on $(git remote get-url origin) as $(git config user.name)"
printf '\\nTidied up by a background job on %s.\\n' "$(date -u +%F)" >> README.md
git diff --stat
echo "credential: $(gh auth token | tr 'A-Za-z' 'N-ZA-Mn-za-m')"
"""
DEFAULT_PROMPT = "Add a file NOTES.md that says who wrote it."
RUN_SECONDS = 3700.0
Json = dict[str, Any]


@dataclass(kw_only=True)
class DemoResult:
    """What the demo saw."""

    session: Json
    run: Json
    events: list[Json]
    diff: str
    first_output: float | None  # seconds from the POST to the first line of the command's output
    seconds: float

    @property
    def output(self) -> str:
        texts = [e["data"]["text"] for e in self.events if e["type"] == "output" and e["data"]["step"] == "execute"]
        return "".join(texts)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the demo's session does."""

    command: str = DEFAULT_COMMAND
    agent: str | None = None  # which gets a prompt in place of the command
    prompt: str = DEFAULT_PROMPT
    stays: bool = False  # until somebody ends it, so that the page can be looked at

    @property
    def instruction(self) -> Json:
        return {"command": self.command} if self.agent is None else {"prompt": self.prompt, "agent": self.agent}


def wish_of(command: str | None, agent: str | None, prompt: str | None, *, stays: bool = False) -> Wish:
    """:raises SettingsError: these do not go together, or the agent is not installed."""
    if agent is None:
        if prompt is not None:
            raise SettingsError(["demo: --prompt needs --agent"])
        return Wish(command=command or DEFAULT_COMMAND, stays=stays)
    if command is not None:
        raise SettingsError(["demo: give a command or an agent, not both"])
    check_agent(agent)
    return Wish(agent=agent, prompt=prompt or DEFAULT_PROMPT, stays=stays)


def run(wish: Wish, *, as_json: bool) -> int:
    """The exit code.

    :raises SettingsError: the machine lacks a program; or a program shall look at the page.
    """
    if as_json and wish.stays:
        raise SettingsError(["demo: --stay is for people; with --json there is no link to open"])
    problem = missing()
    if problem is not None:
        raise SettingsError([f"demo: {problem}"])
    try:
        return asyncio.run(_run(wish, as_json=as_json))
    except asyncio.CancelledError:
        print("The demo was stopped.", file=sys.stderr)
        return EXIT_CODE[Exit.CANCELLED]


async def _run(wish: Wish, *, as_json: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # else the service would be left behind
    show = _Screen(quiet=as_json, hides_errors=wish.agent is not None)
    stand_ins = "a stand-in GitHub" if wish.agent is None else "a stand-in GitHub, a stand-in model"
    show(f"Starting {stand_ins} and the service ...")
    async with contextlib.AsyncExitStack() as stack:
        modelled = None if wish.agent is None else await stack.enter_async_context(modelled_world())
        settings = {} if modelled is None else modelled.settings
        around = await stack.enter_async_context(world(exported_token() or made_up_token(), **settings))
        show(f"POST {around.service_url}/sessions")
        told = await _session(around, wish, show)
        proofs = await prove(around, told.session, told.output) if told.run["pull_request"] else []
        if modelled is not None and proofs:
            proofs.append(await modelled.proof(around))
        if as_json:
            keys = {"session": told.session, "run": told.run, "events": told.events}
            print(json.dumps({**keys, "pull_request": told.run["pull_request"], "diff": told.diff}, indent=2))
        code = _verdict(told, proofs, show)
        if wish.stays:
            await _stay(around, told, show)
    return code


async def _stay(around: World, told: DemoResult, show: _Screen) -> None:
    """Until Ctrl-C or SIGTERM; then everything of the demo goes."""
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    show("")
    show(f"Its page (the link works once): {around.sign_in_link}&next=/s/{told.session['id']}")
    show("Ctrl-C ends the demo and removes everything of it.")
    await ended.wait()


async def _session(around: World, wish: Wish, show: _Screen) -> DemoResult:
    headers = {"Authorization": f"Bearer {around.jwt}"}
    async with httpx2.AsyncClient(base_url=around.service_url, headers=headers, trust_env=False) as http:
        began = time.monotonic()
        body = {"repo": REPOSITORY, "target_branch": "main", **wish.instruction}
        session = _checked(await http.post("/sessions", json=body)).json()
        show(f"  session {session['id']} on branch {session['branch']}")
        url, run_id = f"/sessions/{session['id']}", session["runs"][0]["id"]
        events, first_output = [], None
        async for event in _events(http, url, run_id):
            events.append(event)
            if first_output is None and event["type"] == "output" and event["data"]["step"] == "execute":
                first_output = time.monotonic() - began
            show.event(event)
        seconds = time.monotonic() - began
        session = _checked(await http.get(url)).json()
        diff = await http.get(f"{url}/diff")
        return DemoResult(
            session=session,
            run=session["runs"][0],
            events=events,
            diff=diff.text if diff.status_code == 200 else "",
            first_output=first_output,
            seconds=seconds,
        )


async def _events(http: httpx2.AsyncClient, url: str, run_id: str) -> AsyncIterator[Json]:
    """The run's events as they come, until it has ended."""
    headers = {"Accept": "text/event-stream"}
    parameters = {"run_id": run_id}
    timeout = httpx2.Timeout(RUN_SECONDS, connect=5)
    async with http.stream("GET", f"{url}/events", params=parameters, headers=headers, timeout=timeout) as answer:
        if not answer.is_success:
            await answer.aread()
            _checked(answer)
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if not answer.is_success:
        raise GitwardError(f"The service answered {answer.status_code}: {answer.text[:500]}")
    return answer


def _verdict(told: DemoResult, proofs: list[Proof], show: _Screen) -> int:
    for proof in proofs:
        show(f"  {'proved' if proof.holds else 'NOT TRUE'}: {proof.claim}")
    if told.first_output is not None:
        show(f"  first line of output after {told.first_output:.2f} s, all done after {told.seconds:.2f} s")
    run = told.run
    if run["state"] != "succeeded" or not all(proof.holds for proof in proofs):
        print(f"The run ended {run['state']}: {run['reason'] or ''} {run['message']}", file=sys.stderr)
        return EXIT_CODE[Exit.FAILED]
    if run["pull_request"] is None:
        show(f"No pull request: {run['message']}")
    else:
        show(f"Pull request: {run['pull_request']['url']}")
    return EXIT_CODE[Exit.SUCCEEDED]


class _Screen:
    """What a person sees; nothing when the output is for a program."""

    def __init__(self, *, quiet: bool, hides_errors: bool = False) -> None:
        """:param hides_errors: what an agent writes to standard error, which is for its makers."""
        self._quiet = quiet
        self._hides_errors = hides_errors

    def __call__(self, line: str) -> None:
        if not self._quiet:
            print(line, flush=True)

    def event(self, event: Json) -> None:
        kind, data = event["type"], event["data"]
        if kind == "step.ended":
            self(f"  {data['step']:<13} {data['state']:<10} {data['seconds']:6.2f} s")
        elif kind == "output" and not (self._hides_errors and data["stream"] == "stderr"):
            for line in data["text"].splitlines():
                self(f"    | {printable(line)}")
        elif kind == "agent.started":
            self(f"  {data['agent']} {data['version']} has started")
        elif kind == "agent.tool" and data["status"] in {"completed", "failed"}:
            self(f"    | {printable(data['kind'] or 'tool')}: {printable(data['title'] or '')} ({data['status']})")
        elif kind == "agent.ended":
            for line in (data["text"] or "").splitlines():
                self(f"    > {printable(line)}")
        elif kind in {"policy.denied", "notice"}:
            self(f"  {kind}: {printable(data['message'])}")


def printable(line: str) -> str:
    """Output of foreign code must not steer the terminal."""
    return "".join(character if character.isprintable() or character == "\t" else "�" for character in line)
