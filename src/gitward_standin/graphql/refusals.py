"""Errors in the shape of GitHub's GraphQL: {"type", "path", "locations", "message"}."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitward_standin.accounts import Identity, TokenKind


@dataclass
class Refusal(Exception):
    """A field that is not answered. `type` is GitHub's own code: NOT_FOUND, FORBIDDEN, UNPROCESSABLE, …"""

    type: str
    message: str
    extensions: Mapping[str, object] = field(default_factory=dict)


def not_found(what: str, by: str) -> Refusal:
    """`by`: "the name 'o/r'", "the number of 5"."""
    article = "an" if what[0] in "AEIOaeio" else "a"
    return Refusal("NOT_FOUND", f"Could not resolve to {article} {what} with {by}.")


def forbidden(viewer: Identity, mutation: str) -> Refusal:
    """How GitHub refuses a mutation: it depends on the kind of token."""
    if viewer.token.kind is TokenKind.APP:
        return Refusal("FORBIDDEN", "Resource not accessible by integration")
    if viewer.token.kind is TokenKind.FINE_GRAINED or not viewer.token.push:
        return Refusal("FORBIDDEN", "Resource not accessible by personal access token")
    name = mutation[0].upper() + mutation[1:]
    return Refusal("FORBIDDEN", f"{viewer.login} does not have the correct permissions to execute `{name}`")


def unprocessable(message: str) -> Refusal:
    return Refusal("UNPROCESSABLE", message)


def sso_required() -> Refusal:
    return Refusal(
        "FORBIDDEN",
        "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to "
        "this organization.",
        {"saml_failure": True},
    )
