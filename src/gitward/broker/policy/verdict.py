"""The verdict of a rule on a request: yes, or no with a reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A yes has no message; a no has a sentence that says what is allowed, fit for git's or gh's output."""

    allowed: bool
    rule: str  # dotted name: "git.push.ref"
    message: str = ""


def allow(rule: str) -> Verdict:
    return Verdict(allowed=True, rule=rule)


def deny(rule: str, message: str) -> Verdict:
    return Verdict(allowed=False, rule=rule, message=message)
