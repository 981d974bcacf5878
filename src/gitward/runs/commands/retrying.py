"""Commands inside that talk to GitHub: made again while it is away; a token that it does not take is told as that."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from gitward.errors import RunFailure
from gitward.github.client import Answer, Connection, path_of
from gitward.github.retries import PassingFault, Retries
from gitward.repositories.git import CommandResult
from gitward.runs.attempt import Attempt
from gitward.runs.commands import disk_full
from gitward.runs.commands.github_calls import request, step_retries
from gitward.runs.commands.runner import CommandRunner
from gitward.sessions.model import StepName

# What git (with GnuTLS or OpenSSL), git-lfs and gh print, all in English: the sandbox has no other language.
_REFUSED = re.compile(r"remote rejected|(?:returned error:|HTTP|status code:?) 4(?!08|29)\d\d", re.IGNORECASE)
_ANSWERED = re.compile(r"(?:returned error:|HTTP|status code:?) (408|429|5\d\d)", re.IGNORECASE)
_LFS_AWAY = re.compile(r"batch response: Fatal error\b")  # git-lfs has GitHub's words for a 5xx, and not its number
_BROKEN = re.compile(
    r"early EOF|\bEOF$|hung up unexpectedly|unexpected disconnect|Connection (?:reset|refused|timed out)|Broken pipe"
    r"|Failed to connect|Could not resolve host|Empty reply|Recv failure|Send failure|Operation (?:timed out|too slow)"
    r"|transfer closed|i/o timeout|handshake (?:failed|timeout)|GnuTLS recv error|SSL_(?:read|ERROR_SYSCALL)",
    re.IGNORECASE | re.MULTILINE,
)
_UNKNOWN_TOKEN = re.compile(
    r"Authentication failed|Authentication required: |could not read Username|Invalid username or token|Bad credentials"
    r"|(?:returned error:|HTTP) 401",
    re.IGNORECASE,
)
_KNOCKS = 3  # how often a command is made again with a new token
REPLACED = "GitHub rejected the token; there is a new one"
LIMITED = "GitHub answered 429"


def was_refused(text: str) -> bool:
    """Whether GitHub, or a rule of Gitward's, answered that it does not do it."""
    return bool(_REFUSED.search(text))


def fault_in(text: str) -> str | None:
    """What is wrong and may pass, by the words of a command that failed; None: it failed for good."""
    if was_refused(text):
        return None
    answered = _ANSWERED.search(text)
    if answered:
        return f"GitHub answered {answered[1]}"
    if _LFS_AWAY.search(text):
        return "GitHub's LFS does not answer now"
    return "the connection to GitHub broke" if _BROKEN.search(text) else None


def may_pass(ended: CommandResult) -> bool:
    """Whether it may end well when it is made again, once the token is looked at."""
    return fault_in(ended.tail) is not None or _UNKNOWN_TOKEN.search(ended.tail) is not None


async def run_with_retries(
    attempt: Attempt,
    commands: CommandRunner,
    step: StepName,
    call: Callable[[bool], Awaitable[CommandResult]],
    *,
    failed: Callable[[CommandResult], RunFailure],
) -> CommandResult:
    """As `retry_command`, within the time that the commands have left."""
    return await retry_command(attempt, step, call, failed=failed, seconds_left=commands.seconds_left)


async def retry_command(
    attempt: Attempt,
    step: StepName,
    call: Callable[[bool], Awaitable[CommandResult]],
    *,
    failed: Callable[[CommandResult], RunFailure],
    seconds_left: float,
) -> CommandResult:
    """How a command ended that succeeded at last.

    :param call: runs it; is told whether it is run again.
    :param failed: what it means for the run when it fails.
    :raises RunFailure: `failed`'s, or `token_rejected` and its like when that is why, or `sandbox_failed`: no room.
    """
    retries = step_retries(attempt, step, limited_seconds=seconds_left)
    knocks = 0
    again = False

    async def once() -> CommandResult:
        nonlocal again, knocks
        ended = await call(again)
        again = True
        if ended.exit_code == 0:
            return ended
        failure = disk_full.named(failed(ended), ended)
        cause = fault_in(ended.tail)
        if cause is None and _UNKNOWN_TOKEN.search(ended.tail) and knocks < _KNOCKS:
            knocks += 1
            await _require_token(attempt, retries, failure)
            cause = REPLACED
        if cause is None:
            raise failure
        raise PassingFault(
            failure.reason, failure.message, cause=cause, exit_code=failure.exit_code, head_sha=failure.head_sha
        )

    return await retries.run(once)


async def _require_token(attempt: Attempt, retries: Retries, failure: RunFailure) -> None:
    """:raises RunFailure: GitHub does not take the token outside of the sandbox either; in its own words."""
    path = path_of(attempt.session.repo)

    async def look(github: Connection) -> Answer:
        return await github.get(path)

    try:
        await request(attempt, retries, look, level=logging.DEBUG)
    except RunFailure as told:
        told.exit_code, told.head_sha = failure.exit_code, failure.head_sha
        raise
