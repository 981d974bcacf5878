"""Asks GitHub whether a command writes to its session's own objects, and names only people; remembers it for a run."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp.web_response import Response, StreamResponse

from gitward.broker.policy.rest import RestCall, logins_in
from gitward.broker.policy.verdict import Verdict
from gitward.broker.policy.writes import not_a_person, not_own
from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.reporter import Reporter
from gitward.grants.grant import Grant

MAX_LOGINS = 50  # of one request; GitHub takes ten assignees, and fifteen reviewers
_MAX_KNOWN = 1_000  # people of one run; then the memory begins anew

LookUp = Callable[[str], Awaitable[bytes | None]]  # GET of a path below the repository; None: there is no such thing
AskGraphql = Callable[[bytes], Awaitable[bytes]]


class OwnWrites:
    """One run's."""

    def __init__(self, *, grant: Grant, reporter: Reporter, look_up: LookUp, ask: AskGraphql) -> None:
        self._grant = grant
        self._reporter = reporter
        self._look_up = look_up
        self._ask = ask
        self._issues = set(grant.issues)
        self._pulls = set() if grant.pull_request is None else {grant.pull_request}
        self._people: set[str] = set()

    async def opened(self, *numbers: int) -> None:
        """GitHub answered that these issues were opened for the sandbox."""
        for number in numbers:
            self._issues.add(number)
            await self._reporter.issue_opened(number)

    async def refusal(self, call: RestCall, body: bytes) -> Verdict | None:
        """Why a call of REST is refused, whose body was checked. Raises UpstreamFailed."""
        number, kinds = call.number, call.rule.own_number
        if number is not None and not await self._is_own(number, kinds):
            return not_own(f"#{number}")
        return await self.not_people(logins_in(call.rule, body))

    def is_own(self, node: Mapping[str, Any]) -> bool:
        """Of an issue or a pull request as GraphQL tells it, which belongs to the repository."""
        number = node.get("number")
        if node.get("__typename") == "Issue":
            return number in self._issues
        source = (node.get("headRepository") or {}).get("nameWithOwner")
        return number in self._pulls or self._notes(
            number, state=str(node.get("state")).lower(), branch=node.get("headRefName"), source=source
        )

    async def not_people(self, logins: Iterable[str]) -> Verdict | None:
        """The first login that is not a person's. Raises UpstreamFailed."""
        unknown = sorted(set(logins) - self._people)
        if len(unknown) > MAX_LOGINS:
            return not_a_person(f"one of more than {MAX_LOGINS} logins")
        if not unknown:
            return None
        variables = {f"l{number}": login for number, login in enumerate(unknown)}
        defined = ",".join(f"${name}:String!" for name in variables)
        fields = " ".join(f"{name}:user(login:${name}){{__typename}}" for name in variables)
        answer = await self._ask(
            json.dumps({"query": f"query({defined}){{{fields}}}", "variables": variables}).encode()
        )
        people = _people(answer)
        if len(self._people) > _MAX_KNOWN:
            self._people.clear()
        self._people |= {login for name, login in variables.items() if name in people}
        stranger = next((login for name, login in variables.items() if name not in people), None)
        return None if stranger is None else not_a_person(stranger)

    async def _is_own(self, number: int, kinds: frozenset[str]) -> bool:
        if ("Issue" in kinds and number in self._issues) or number in self._pulls:
            return True
        pull = _object(await self._look_up(f"/pulls/{number}"))
        head = pull.get("head") or {}
        source = (head.get("repo") or {}).get("full_name")  # null when a fork was deleted
        return self._notes(pull.get("number"), state=pull.get("state"), branch=head.get("ref"), source=source)

    def _notes(self, number: Any, *, state: Any, branch: Any, source: Any) -> bool:
        """Whether this is the session's pull request: open, and from the session's branch in its repository."""
        own = (
            type(number) is int
            and state == "open"
            and f"refs/heads/{branch}" == self._grant.push_ref
            and isinstance(source, str)
            and source.casefold() == self._grant.repository.casefold()
        )
        if own:
            self._pulls.add(number)
        return own


def opened_by_rest(answer: StreamResponse) -> tuple[int, ...]:
    """The number that GitHub's answer to a new issue tells; none when the sandbox asked for another form of it."""
    body = answer.body if isinstance(answer, Response) else None
    try:
        number = _object(body).get("number") if isinstance(body, bytes) else None
    except UpstreamFailed:
        return ()
    return (number,) if type(number) is int else ()


def _object(answer: bytes | None) -> dict[str, Any]:
    """Raises UpstreamFailed."""
    if answer is None:
        return {}
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed("GitHub's answer could not be read") from error
    if not isinstance(told, dict):
        raise UpstreamFailed("GitHub's answer could not be read")
    return told


def _people(answer: bytes) -> frozenset[str]:
    """GitHub answers null, beside an error, for each login that is no user's."""
    data = _object(answer).get("data")
    found = data.items() if isinstance(data, dict) else ()
    return frozenset(name for name, user in found if isinstance(user, dict) and user.get("__typename") == "User")
