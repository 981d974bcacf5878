"""Requests of the pages, checked by the API's own rules: what one refuses, the other does too, in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gitward.api.agent_choice import with_agent
from gitward.api.environment_choice import check_environment, chosen_environment
from gitward.api.problems import field_errors
from gitward.api.request_shapes import InstructionIn, SessionIn
from gitward.api.services import Services
from gitward.errors import FieldError, InvalidRequest, Unavailable
from gitward.identity.authorization import check_repositories, relevant_claims
from gitward.sessions.model import Instruction, Session
from gitward.sessions.new_session import NewSession
from gitward.store.database import Transaction
from gitward.web.signing_in import Person

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class PageRequests:
    """What `gitward.web.services.Requests` asks for."""

    services: Services

    async def new_session(self, person: Person, body: Mapping[str, Any]) -> NewSession:
        """:raises InvalidRequest: the API would refuse this body."""
        asked = _validated(SessionIn, body)
        served = self.services
        check_repositories(served.repo_globs, served.rules, person.claims, asked.repo, asked.submodules)
        if served.collaborators is not None:
            await served.collaborators.check(person.claims, asked.repo, asked.submodules)
        return await self._checked(person, asked)

    async def _checked(self, person: Person, asked: SessionIn) -> NewSession:
        served = self.services
        check_repositories(served.repo_globs, served.rules, person.claims, asked.repo, asked.submodules)
        served.reach.check(asked.new_session())
        instruction = await with_agent(served, asked.instruction())
        environment = await chosen_environment(served, asked.environment)
        self._check_room()
        claims = relevant_claims(served.rules, person.claims)
        return replace(asked.new_session(), environment=environment, instruction=instruction, claims=claims)

    async def refused(self, person: Person, body: Mapping[str, Any]) -> Sequence[FieldError]:
        """What the API would refuse of this body; GitHub is asked about the repository only when it is posted."""
        try:
            await self._checked(person, _validated(SessionIn, body))
        except InvalidRequest as error:
            return error.errors or (FieldError(field="", message=error.detail),)
        return ()

    async def instruction(self, person: Person, body: Mapping[str, Any]) -> Instruction:
        """:raises InvalidRequest: the API would refuse this follow-up."""
        del person
        asked = _validated(InstructionIn, body)
        self._check_room()
        return await with_agent(self.services, asked.instruction())

    async def ask_again(self, person: Person, session_id: str) -> None:
        """Before the transaction of a further run, in which nobody may wait for GitHub.

        :raises InvalidRequest, Unavailable: GitHub does not let this person work on the repository any more.
        """
        served = self.services
        if served.collaborators is not None:
            session = await served.database.read(lambda tx: served.sessions.get_session(tx, person.owner, session_id))
            await served.collaborators.check(person.claims, session.repo, session.submodules, again=True)

    def admit(self, tx: Transaction, person: Person, session: Session, instruction: Instruction | None = None) -> None:
        """:raises InvalidRequest: the operator may have narrowed the settings since the session was created."""
        served = self.services
        check_repositories(served.repo_globs, served.rules, person.claims, session.repo, session.submodules)
        if served.collaborators is not None:
            served.collaborators.require(person.claims, session.repo, session.submodules)
        kept = relevant_claims(served.rules, person.claims)
        if session.claims != kept:
            served.sessions.note_claims(tx, session.owner, session.id, kept)
        if instruction is not None:
            served.reach.check_texts(session.repo, instruction)
        named = None if instruction is None else instruction.environment
        check_environment(served, named or session.environment)

    def _check_room(self) -> None:
        if self.services.database.is_low:
            raise Unavailable("The disk of the database is full: Gitward accepts nothing new until there is room.")


def _validated(shape: type[Shape], body: Mapping[str, Any]) -> Shape:
    try:
        return shape.model_validate(dict(body))
    except ValidationError as error:
        errors = field_errors([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
        raise InvalidRequest("The form has values that are not allowed.", errors=errors) from None
