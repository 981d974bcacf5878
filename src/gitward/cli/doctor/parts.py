"""A part that the doctor examines, and its bounds: a check ends in time, whatever it meets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TypeVar

from gitward.cli.doctor.findings import Finding, fail
from gitward.errors import GitwardError, SettingsError

log = logging.getLogger(__name__)

T = TypeVar("T")
Findings = AsyncGenerator[Finding, None]

CHECK_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part: `look` finds out about it."""

    name: str
    look: Callable[[], Findings]
    seconds: float = CHECK_SECONDS  # for all that `look` does


async def examine(part: Part) -> list[Finding]:
    """What was found of a part; what it met instead is a finding too."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(part.seconds), contextlib.aclosing(part.look()) as findings:
            async for finding in findings:
                found.append(finding)
    except TimeoutError:
        found.append(fail(part.name, f"was not examined within {part.seconds:g} s", "look for what hangs there"))
    except SettingsError as error:
        found += [fail(part.name, problem) for problem in error.problems]
    except GitwardError as error:
        found.append(fail(part.name, str(error)))
    except Exception as error:  # the edge: a broken check leaves the others their say
        log.exception("The doctor could not examine the part %s", part.name)
        found.append(fail(part.name, f"could not be examined ({type(error).__name__})", "see the log above"))
    return found


async def in_thread(call: Callable[[], T]) -> T:
    """The result of a call that may block for ever, as on a network disk that is away: its thread is left behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 -- it is raised where the call is awaited
            told, value = _fail, error
        else:
            told, value = _succeed, result  # type: ignore[assignment]  # each with what it takes
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(told, future, value)

    threading.Thread(target=work, name="doctor", daemon=True).start()
    return await future


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
