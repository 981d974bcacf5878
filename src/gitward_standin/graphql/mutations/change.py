"""One mutation: its input, who sends it, and what of GitHub's permissions it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gitward_standin.access import may_discuss, may_write, role_of
from gitward_standin.accounts import Account, Role
from gitward_standin.graphql.lookup import find_node
from gitward_standin.graphql.refusals import forbidden, not_found, unprocessable
from gitward_standin.graphql.tables import Resolver, Tables, keys
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import Repository
from gitward_standin.permissions import permits_mutation

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Change:
    """A mutation that was sent."""

    visit: Visit
    name: str  # closeIssue
    input: Mapping[str, Any]

    @property
    def sender(self) -> Account:
        return self.visit.viewer.account

    async def node(self, member: str, kind: type[T]) -> T:
        """What the id in this member of the input stands for. Raises NOT_FOUND."""
        return await self._find(self.input[member], kind)

    async def nodes(self, member: str, kind: type[T]) -> list[T]:
        return [await self._find(node_id, kind) for node_id in self.input.get(member) or ()]

    async def _find(self, node_id: str, kind: type[T]) -> T:
        node = await find_node(self.visit, node_id)
        if not isinstance(node, kind):
            raise not_found("node", f"the global id of '{node_id}'")
        return node

    def write(self, repository: Repository) -> Repository:
        """The repository, which the sender may write. Raises FORBIDDEN."""
        return self._open(repository, allowed=may_write(repository, self.visit.viewer))

    def discuss(self, repository: Repository) -> Repository:
        """The repository, where the sender may open issues and comment. Raises FORBIDDEN."""
        return self._open(repository, allowed=may_discuss(repository, self.visit.viewer))

    def administer(self, repository: Repository) -> Repository:
        """The repository, which the sender administers. Raises FORBIDDEN."""
        if role_of(self.write(repository), self.visit.viewer) is not Role.ADMIN:
            raise forbidden(self.visit.viewer, self.name)
        return repository

    def _open(self, repository: Repository, *, allowed: bool) -> Repository:
        if not allowed or not permits_mutation(self.visit.viewer.token, self.name):
            raise forbidden(self.visit.viewer, self.name)
        if repository.archived:
            raise unprocessable("Repository was archived so is read-only.")
        return repository


class Mutation:
    """A field of the type Mutation: what its input and its payload hold, and what carries it out."""

    def __init__(self, run: Callable[[Change], Awaitable[dict[str, Any]]], *, takes: str, gives: str = "") -> None:
        """`takes` and `gives`: names of the input's and the payload's members, apart from clientMutationId."""
        self._run = run
        self.takes = [*takes.split(), "clientMutationId"]
        self.gives = [*gives.split(), "clientMutationId"]

    def field(self, name: str) -> Resolver:
        """What answers the field of this name."""

        async def carry_out(visit: Visit, _root: object, *, input: Mapping[str, Any]) -> dict[str, Any]:
            payload = await self._run(Change(visit=visit, name=name, input=input))
            return {**payload, "clientMutationId": input.get("clientMutationId"), "actor": visit.viewer.account}

        return carry_out


def tables(mutations: Mapping[str, Mutation]) -> Tables:
    """The table of the type Mutation, and those of the payloads."""
    payloads = {f"{name[0].upper()}{name[1:]}Payload": keys(*each.gives) for name, each in mutations.items()}
    return {"Mutation": {name: each.field(name) for name, each in mutations.items()}, **payloads}


def inputs(mutations: Mapping[str, Mutation]) -> Mapping[str, Sequence[str]]:
    """The members of each mutation's input."""
    return {f"{name[0].upper()}{name[1:]}Input": each.takes for name, each in mutations.items()}
