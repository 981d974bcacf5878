"""Asks GitHub, with the token, which repository a node id belongs to, and remembers the answer for the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitward.broker.policy.graphql.document import Reading
from gitward.broker.policy.writes import not_own
from gitward.broker.server.forwarder import Forwarder, Onward, UpstreamFailed
from gitward.broker.server.own_writes import OwnWrites
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

_MAX_KNOWN = 10_000  # ids of one run; then the memory begins anew

# What is the repository's own, with the way to its name; and what belongs to no repository.
_OWNED: Mapping[str, str] = {
    "Repository": "nameWithOwner",
    "PullRequest": "number state headRefName headRepository{nameWithOwner} repository{nameWithOwner}",
    "Issue": "number repository{nameWithOwner}",
    "Label": "repository{nameWithOwner}",
    "Milestone": "repository{nameWithOwner}",
}
_PEOPLE = frozenset({"User", "Bot", "Mannequin", "Team"})

QUERY = (
    "query($ids:[ID!]!){nodes(ids:$ids){__typename "
    + " ".join(f"...on {kind}{{{way}}}" for kind, way in _OWNED.items())
    + "}}"
)


class NodeIds:
    """One run's knowledge of ids."""

    def __init__(self, *, grant: Grant, forwarder: Forwarder, url: str, writes: OwnWrites) -> None:
        self._writes = writes
        self._grant = grant
        self._forwarder = forwarder
        self._url = url
        self._nodes: dict[str, Mapping[str, Any]] = {}  # by id, of ids that may be used

    async def require(self, reading: Reading, onward: Onward) -> None:
        """Every id must be of one of its types and of the grant's repository; what is written, the session's own.

        `onward` has the credential. Raises PolicyDenied, UpstreamFailed.
        """
        wanted = reading.ids
        unknown = sorted(set(wanted) - set(self._nodes))
        if unknown:
            await self._look_up(unknown, onward)
        for node_id, kinds in wanted.items():
            if self._nodes.get(node_id, {}).get("__typename") not in kinds:
                raise PolicyDenied(
                    "graphql.id", f"{node_id[:60]} is not the id of a {' or '.join(sorted(kinds))} of this repository"
                )
        for node_id in sorted(reading.written):
            if not self._writes.is_own(self._nodes[node_id]):
                verdict = not_own(f"#{self._nodes[node_id].get('number')}")
                raise PolicyDenied(verdict.rule, verdict.message)

    async def _look_up(self, ids: list[str], onward: Onward) -> None:
        body = json.dumps({"query": QUERY, "variables": {"ids": ids}}).encode()
        answer = await self._forwarder.ask(replace(onward, method="POST", url=self._url, body=body))
        if len(self._nodes) > _MAX_KNOWN:
            self._nodes.clear()
        for node_id, node in zip(ids, _nodes(answer, len(ids)), strict=True):
            if node is not None and self._is_ours(node):
                self._nodes[node_id] = node

    def _is_ours(self, node: Mapping[str, Any]) -> bool:
        if node["__typename"] in _PEOPLE:
            return True
        name = node.get("nameWithOwner") or (node.get("repository") or {}).get("nameWithOwner")
        return isinstance(name, str) and name.casefold() == self._grant.repository.casefold()


def _nodes(answer: bytes, count: int) -> list[dict[str, Any] | None]:
    """GitHub answers null, beside an error, for each id that it does not know or show."""
    try:
        nodes: list[dict[str, Any] | None] = json.loads(answer)["data"]["nodes"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UpstreamFailed("GitHub did not say which repository an id belongs to") from error
    if not isinstance(nodes, list) or len(nodes) != count:
        raise UpstreamFailed("GitHub did not say which repository an id belongs to")
    return nodes
