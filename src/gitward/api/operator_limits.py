"""Refuses POSTs that ask for more on GitHub than the operator's settings allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitward.errors import FieldError, InvalidRequest
from gitward.grants.closing_keywords import closes_elsewhere
from gitward.sessions.model import Instruction
from gitward.sessions.new_session import NewSession
from gitward.sessions.webhook_targets import host_of
from gitward.sessions.webhooks import Callback

NO_WORKFLOWS = "must be false: on this server no session may change .github/workflows/ (GITWARD_ALLOW_WORKFLOWS=never)"


@dataclass(frozen=True, kw_only=True)
class OperatorLimits:
    """The operator's choice."""

    own_writes: bool = True  # GITWARD_WRITES=own
    never_workflows: bool = False  # GITWARD_ALLOW_WORKFLOWS=never
    callback_hosts: tuple[str, ...] = ()  # GITWARD_CALLBACK_HOSTS: `host` or `host:port`, with wildcards; empty: none

    def refused(self, new: NewSession) -> list[FieldError]:
        """What a session or a schedule may not be made of."""
        workflows = [FieldError(field="allow_workflows", message=NO_WORKFLOWS)]
        return (workflows if new.allow_workflows and self.never_workflows else []) + [
            *self._texts(new.repo, {"title": new.title}),
            *self.refused_texts(new.repo, new.instruction),
            *self._callback(new.callback),
        ]

    def _callback(self, callback: Callback | None) -> list[FieldError]:
        if callback is None or any(fnmatchcase(host_of(callback.url), each) for each in self.callback_hosts):
            return []
        allowed = ", ".join(self.callback_hosts) or "none (GITWARD_CALLBACK_HOSTS)"
        return [FieldError(field="callback_url", message=f"must lead to a host that this server allows: {allowed}")]

    def refused_texts(self, repo: str, instruction: Instruction) -> list[FieldError]:
        publish = instruction.publish
        texts = {"commit_message": instruction.commit_message, "publish.title": publish.title}
        return self._texts(repo, {**texts, "publish.body": publish.body})

    def check(self, new: NewSession) -> None:
        """:raises InvalidRequest: it asks for more than the operator's settings allow."""
        _require_none(self.refused(new))

    def check_named(self, repo: str, texts: Mapping[str, str | None]) -> None:
        """:raises InvalidRequest: one of these fields closes an issue of another repository."""
        _require_none(self._texts(repo, texts))

    def check_texts(self, repo: str, instruction: Instruction) -> None:
        """:raises InvalidRequest: a text of a run closes an issue of another repository."""
        _require_none(self.refused_texts(repo, instruction))

    def _texts(self, repo: str, texts: Mapping[str, str | None]) -> list[FieldError]:
        if not self.own_writes:
            return []
        found = {name: closes_elsewhere(text, repo) for name, text in texts.items() if text is not None}
        return [
            FieldError(
                field=name,
                message=f"must close issues of {repo} only (GITWARD_WRITES=repository allows others)",
            )
            for name, reference in found.items()
            if reference is not None
        ]


def _require_none(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidRequest("The session asks for more than this server allows.", errors=errors)
