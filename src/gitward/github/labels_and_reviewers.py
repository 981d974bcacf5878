"""Labels and reviewers of a pull request: a notice names those that GitHub refuses, and the others are added.

GitHub refuses a whole call for one bad reviewer (the author, somebody who is no collaborator, a team without access)
or one bad label. So reviewers are requested one by one, and labels too when GitHub refuses them together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gitward.github.client import Answer, Connection, path_of

Ask = Callable[[str], Awaitable[str | None]]  # one name; GitHub's reason when it refuses


async def decorate(
    github: Connection, repository: str, number: int, *, labels: Sequence[str], reviewers: Sequence[str]
) -> list[str]:
    """Adds both; returns a sentence for each refusal. May be repeated."""
    return [*await _label(github, repository, number, labels), *await _request(github, repository, number, reviewers)]


async def _label(github: Connection, repository: str, number: int, labels: Sequence[str]) -> list[str]:
    async def add(*names: str) -> Answer:
        path = path_of(repository, "issues", number, "labels")
        return await github.post(path, {"labels": list(names)}, repeatable=True)

    async def add_one(name: str) -> str | None:
        return _refusal(await add(name))

    if not labels:
        return []
    answer = await add(*labels)
    if answer.status == 422 and len(labels) > 1:
        refused = await _one_by_one(labels, add_one)
    else:
        reason = _refusal(answer)
        refused = {reason: list(labels)} if reason else {}
    return [f"GitHub did not add the {_label_words(names)}: {reason}." for reason, names in refused.items()]


def _label_words(names: Sequence[str]) -> str:
    return f"label{'s' if len(names) > 1 else ''} {', '.join(names)}"


async def _request(github: Connection, repository: str, number: int, reviewers: Sequence[str]) -> list[str]:
    owner = repository.partition("/")[0]

    async def request(name: str) -> str | None:
        organization, _, team = name.rpartition("/")
        if organization and organization.lower() != owner.lower():
            return f"only teams of {owner} can review here"
        asked = {"team_reviewers": [team]} if organization else {"reviewers": [name]}
        path = path_of(repository, "pulls", number, "requested_reviewers")
        return _refusal(await github.post(path, asked, repeatable=True))

    refused = await _one_by_one(list(dict.fromkeys(reviewers)), request)
    return [f"{', '.join(names)} could not be requested as reviewers: {reason}." for reason, names in refused.items()]


async def _one_by_one(names: Sequence[str], ask: Ask) -> dict[str, list[str]]:
    """Those that were refused, by the reason."""
    refused: dict[str, list[str]] = {}
    for name in names:
        reason = await ask(name)
        if reason is not None:
            refused.setdefault(reason, []).append(name)
    return refused


def _refusal(answer: Answer) -> str | None:
    return None if 200 <= answer.status < 300 else refusal_sentence(answer)


def refusal_sentence(answer: Answer) -> str:
    """An unexpected answer: its status and GitHub's words, when there are any."""
    return f"{answer.status} {answer.message}".rstrip(". ")
