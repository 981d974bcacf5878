"""Pull requests: found by head branch, else created, so that a repeated step never opens a second one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.github.client import Answer, Connection, path_of
from gitward.github.labels_and_reviewers import decorate, refusal_sentence


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The pull request that a run wants."""

    repository: str
    branch: str
    target_branch: str
    title: str
    body: str
    draft: bool
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()  # logins, and teams as organization/team


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What became of it."""

    number: int
    url: str
    state: str
    draft: bool
    created: bool  # False: it was there already
    notices: tuple[str, ...] = ()  # what GitHub did not do as asked


async def propose(github: Connection, proposal: Proposal) -> Proposed:
    """Finds the open pull request of the branch, or creates it; after a fault it looks again before it creates.

    :raises RunFailure: `pull_request_failed`, or a refusal of the token.
    """
    tried = False

    async def once() -> Proposed:
        nonlocal tried
        existing = await _find(github, proposal)
        if existing is not None:  # after a try whose answer was lost it is ours
            return await _decorated(github, proposal, existing, created=tried)
        tried = True
        return await _propose(github, proposal)

    return await github.retries.run(once)


async def _propose(github: Connection, proposal: Proposal) -> Proposed:
    answer = await _create(github, proposal, draft=proposal.draft)
    notices: list[str] = []
    if proposal.draft and answer.status == 422 and "draft pull requests" in answer.message.lower():
        notices.append("This repository does not support draft pull requests; a ready one was opened.")
        answer = await _create(github, proposal, draft=False)
    if answer.status == 422 and "already exists" in answer.message:
        raced = await _find(github, proposal)  # another attempt was faster
        if raced is not None:
            return await _decorated(github, proposal, raced, created=False)
    if answer.status != 201:
        raise RunFailure(
            Reason.PULL_REQUEST_FAILED,
            f"GitHub refused the pull request ({refusal_sentence(answer)}); the branch {proposal.branch} is pushed, so "
            "you can open one by hand.",
        )
    return await _decorated(github, proposal, answer.body, created=True, notices=notices)


async def find(github: Connection, proposal: Proposal) -> Proposed | None:
    """The open pull request of the branch, as it is."""
    pull = await _find(github, proposal)
    return None if pull is None else _proposed(pull, created=False)


async def _find(github: Connection, proposal: Proposal) -> dict[str, Any] | None:
    owner = proposal.repository.split("/")[0]
    answer = await github.get(
        path_of(proposal.repository, "pulls"), head=f"{owner}:{proposal.branch}", state="open", per_page="10"
    )
    if answer.status != 200 or not isinstance(answer.body, list):
        raise RunFailure(
            Reason.PULL_REQUEST_FAILED,
            f"GitHub does not let the token list pull requests ({refusal_sentence(answer)}); "
            "give it `Pull requests: read and write`.",
        )
    matching: list[dict[str, Any]] = [pull for pull in answer.body if pull["head"]["ref"] == proposal.branch]
    return matching[0] if matching else None


async def _create(github: Connection, proposal: Proposal, *, draft: bool) -> Answer:
    return await github.post(
        path_of(proposal.repository, "pulls"),
        {
            "title": proposal.title,
            "body": proposal.body,
            "head": proposal.branch,
            "base": proposal.target_branch,
            "draft": draft,
        },
    )


async def _decorated(
    github: Connection, proposal: Proposal, pull: dict[str, Any], *, created: bool, notices: Sequence[str] = ()
) -> Proposed:
    """With labels and reviewers, also when it was there: an earlier attempt may have ended before them.

    A refusal of these is told but does not undo the pull request.
    """
    refused = await decorate(
        github, proposal.repository, int(pull["number"]), labels=proposal.labels, reviewers=proposal.reviewers
    )
    return _proposed(pull, created=created, notices=(*notices, *refused))


def _proposed(pull: dict[str, Any], *, created: bool, notices: tuple[str, ...] = ()) -> Proposed:
    return Proposed(
        number=int(pull["number"]),
        url=str(pull["html_url"]),
        state=str(pull["state"]),
        draft=bool(pull.get("draft")),
        created=created,
        notices=notices,
    )
