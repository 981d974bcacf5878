"""Posts sessions and looks after them like a patient caller; starts workers again like an init system."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from .database import Database
from .load import Expected, sessions
from .proof import Ended
from .world import REPOSITORY, Machine, World

Json = dict[str, Any]
TRY_AGAIN_SECONDS = 0.2
LOOK_SECONDS = 0.3
AT_ONCE = 8  # sessions that have not ended yet
CALM_SECONDS = 180.0  # without faults in which no session ends: then what is left is lost
# A fault may end a run with one of these: told truthfully, and cured by a retry.
BY_FAULT = frozenset({"worker_lost", "sandbox_failed", "clone_failed", "push_rejected", "pull_request_failed"})
BY_FULL_DISK = frozenset({"task_failed", "setup_failed"})  # of what would have succeeded

_EXECUTES = """SELECT count(*) FROM events
  WHERE session_id = %s AND type = 'step.started' AND data->>'step' = 'execute'"""


def _is_cured(run: Json, cured: frozenset[str]) -> bool:
    """A push that a killed broker or a cut network kept from arriving is `internal`; nothing else of that reason is."""
    no_push = run["reason"] == "internal" and run["message"].startswith("The push did not arrive")
    return no_push or run["reason"] in cured


class Api:
    """A caller that repeats what was not answered; keys make that harmless."""

    def __init__(self, world: World) -> None:
        headers = {"Authorization": f"Bearer {world.jwt}"}
        self._http = httpx2.AsyncClient(base_url=world.url, headers=headers, trust_env=False, timeout=30)

    async def post(self, path: str, body: Json | None = None, *, key: str | None = None) -> Json:
        headers = {"Idempotency-Key": key} if key else {}
        return await self._answer(lambda: self._http.post(path, json=body, headers=headers))

    async def get(self, path: str) -> Json:
        return await self._answer(lambda: self._http.get(path))

    async def _answer(self, call: Callable[[], Any]) -> Json:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                answer = await call()
                if answer.status_code < 500:
                    answer.raise_for_status()
                    parsed: Json = answer.json()
                    return parsed
            await asyncio.sleep(TRY_AGAIN_SECONDS)

    async def close(self) -> None:
        await self._http.aclose()


class Driver:
    """The load, from the first POST to the last retry."""

    def __init__(self, world: World, database: Database, *, number: int, seed: int) -> None:
        self._api = Api(world)
        self._database = database
        self._number = number
        self._seed = seed
        self._posted: dict[str, Expected] = {}  # by session id
        self._cancelling: set[asyncio.Task[None]] = set()

    async def run(self, go_on: Callable[[], bool]) -> None:
        """Posts the sessions, and more of them while `go_on`; some are always under way."""
        for expected in self._endless():
            while len(set(self._posted) - await self._database.ended_sessions()) >= AT_ONCE:
                await asyncio.sleep(LOOK_SECONDS)
            if len(self._posted) >= self._number and not go_on():
                return
            await self._post(expected)

    def _endless(self) -> Iterator[Expected]:
        yield from sessions(100_000, seed=self._seed)

    async def _post(self, expected: Expected) -> None:
        first, *others = expected.commands
        body = {"repo": REPOSITORY, "target_branch": "main", "title": expected.name, "command": first}
        body |= {} if expected.setup is None else {"setup": expected.setup}
        session = await self._api.post("/sessions", body, key=expected.name)
        self._posted[session["id"]] = expected
        for number, command in enumerate(others):
            await self._api.post(
                f"/sessions/{session['id']}/runs", {"command": command}, key=f"{expected.name}-{number}"
            )
        if expected.cancels:
            task = asyncio.create_task(self._cancel(session["id"]))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    async def _cancel(self, session_id: str) -> None:
        """Once the command runs, or ran on a worker that is gone."""
        while not await self._database.number(_EXECUTES, session_id):
            if session_id in await self._database.ended_sessions():
                return  # a fault was faster
            await asyncio.sleep(LOOK_SECONDS)
        await self._api.post(f"/sessions/{session_id}/cancel")

    async def endings(self) -> list[Ended]:
        """Waits until all have ended; what a fault has ended is retried, once there are no more faults."""
        retried: dict[str, tuple[str, ...]] = {}
        with contextlib.suppress(TimeoutError):  # what has not ended by then is lost, and told so
            async with asyncio.timeout(CALM_SECONDS) as calm:
                await asyncio.gather(*self._cancelling)
                await self._all_ended(calm)
                for session_id, expected in self._posted.items():
                    retried[session_id] = await self._retry(session_id)
                    if retried[session_id] and expected.cancels:
                        await self._cancel(session_id)
                    _prolong(calm)
                await self._all_ended(calm)
        return [
            Ended(
                expected=expected,
                session=await self._api.get(f"/sessions/{session_id}"),
                retried=retried.get(session_id, ()),
            )
            for session_id, expected in self._posted.items()
        ]

    async def _all_ended(self, calm: asyncio.Timeout) -> None:
        before = len(self._posted)
        while left := len(set(self._posted) - await self._database.ended_sessions()):
            if left < before:
                _prolong(calm)
            before = left
            await asyncio.sleep(LOOK_SECONDS)

    async def _retry(self, session_id: str) -> tuple[str, ...]:
        """The reasons of those runs that failed by a fault. They are retried in their order."""
        session = await self._api.get(f"/sessions/{session_id}")
        may_fail = "failed" in self._posted[session_id].states
        cured = BY_FAULT if may_fail else BY_FAULT | BY_FULL_DISK
        failed = [run for run in session["runs"] if run["state"] == "failed" and _is_cured(run, cured)]
        for run in failed:
            await self._api.post(f"/sessions/{session_id}/runs/{run['id']}/retry")
        return tuple(run["reason"] for run in failed)

    async def close(self) -> None:
        await self._api.close()


def _prolong(calm: asyncio.Timeout) -> None:
    calm.reschedule(asyncio.get_running_loop().time() + CALM_SECONDS)


async def keep_running(world: World, machine: Machine) -> None:
    """Starts a worker again whenever it has ended, until this task is cancelled."""
    while True:
        assert machine.process is not None
        await machine.process.wait()
        try:
            await world.start(machine)
        except RuntimeError as error:  # the database is away just now, for example; an init system tries again
            print(f"chaos: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(LOOK_SECONDS)
