"""GitHub refused a private e-mail address: the change is made anew with the address that tells none."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from gitward.errors import RunFailure
from gitward.github.addresses import Addresses, own_addresses
from gitward.repositories.addresses import Exchange, replace_addresses
from gitward.repositories.git import GitFailed
from gitward.repositories.refs import Refs
from gitward.repositories.work import Work
from gitward.runs.commands.github_calls import request, step_retries
from gitward.runs.commands.runner import OutputTooLong
from gitward.runs.context import Context
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions.model import StepName

log = logging.getLogger(__name__)

UNKNOWN = (
    "With the scope `user:email` the token would show its owner's addresses, and Gitward would replace them with "
    "the noreply address."
)


async def replaced(
    context: Context, result_sandbox: ResultSandbox, work: Work, refs: Refs, refused: RunFailure
) -> Work | None:
    """The work with the noreply address where its commits had one of the token's owner; None: there is none of these.

    Nobody else's address is touched.
    """
    attempt = context.attempt
    retries = step_retries(attempt, StepName.PUBLISH, limited_seconds=result_sandbox.commands.seconds_left)
    addresses = await request(attempt, retries, own_addresses, level=logging.DEBUG)
    if addresses is None:
        return None
    head = await _rewritten(context, result_sandbox, work.head, refs, addresses)
    if head is None:
        refused.message += "" if addresses.complete else f" {UNKNOWN}"
        return None
    await attempt.notice(
        "GitHub refused a private e-mail address of the token's owner: Gitward rewrote the commits that have it "
        f"with {addresses.noreply}, without signatures. {work.head[:12]} is now {head[:12]}."
    )
    return replace(work, head=head)


async def _rewritten(
    context: Context, result_sandbox: ResultSandbox, head: str, refs: Refs, addresses: Addresses
) -> str | None:
    old = addresses.own if addresses.complete else addresses.own | _signed_with(context)
    exchange = Exchange(old=old - {addresses.noreply.lower()}, new=addresses.noreply)
    upstream = await asyncio.to_thread(lambda: [oid for _, oid in refs])
    place = context.workspace / "result" / "work"
    try:
        return await replace_addresses(result_sandbox.result, place, head, upstream=upstream, exchange=exchange)
    except (GitFailed, OutputTooLong) as failure:
        log.warning("Run %s: its commits keep their addresses: %s", context.attempt.run.id, failure)
        return None


def _signed_with(context: Context) -> frozenset[str]:
    """What Gitward's own commits are signed with: an address that the operator chose, or the one of the profile."""
    return frozenset({context.author.email.lower()})
