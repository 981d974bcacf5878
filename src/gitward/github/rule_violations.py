"""GH013: which rules of a repository a push violates, where, and the address that helps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gitward.github.sentences import fitted

_FOUND_FOR = re.compile(r"Repository rule violations found for (\S+?)\.?")
_REVIEW = re.compile(r"Review all repository rules at (https?://\S+)")
_RULE = re.compile(r"- (.+)")
_DASHES = "—–-"
_COMMIT = re.compile(r"- commit: ([0-9a-f]{7,64})")
_PATH = re.compile(r"path: (.+)")
_ADDRESS = re.compile(r"https?://\S+")
_BETWEEN = re.compile(r"- commit: .*|Found \d+ violations?:?|locations:|[—–-]*")  # what tells nothing more of a rule
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEADINGS = {"GITHUB PUSH PROTECTION", "Push cannot contain secrets"}

# Rules that forbid to change this branch at all, whatever the commits are. By the beginnings of GitHub's sentences.
_FORBIDS_UPDATE = re.compile(
    r"Changes must be made through |Cannot (?:update|create|delete|force-push)|Required |\d+ of \d+ required "
    r"|At least \d+ approving |.*\bmerge queue\b|You're not authorized to push"
)


@dataclass(frozen=True, kw_only=True)
class Violations:
    """What GitHub found."""

    message: str
    forbid_update: bool  # by a rule about the branch, not about what was pushed


@dataclass(kw_only=True)
class _Rule:
    sentence: str
    named: list[str] = field(default_factory=list)  # the commits or files that violate it

    @property
    def text(self) -> str:
        more = " and more" if len(self.named) > 5 else ""
        return f"{self.sentence} ({', '.join(self.named[:5])}{more})" if self.named else self.sentence


@dataclass(kw_only=True)
class _Secret:
    kind: str
    places: list[str] = field(default_factory=list)
    address: str = ""

    @property
    def text(self) -> str:
        return f"{self.kind} in {', '.join(self.places)}" if self.places else self.kind


def parse(sentence: str, lines: Sequence[str]) -> Violations:
    """:param sentence: GitHub's, after its number. :param lines: what it said after that, stripped."""
    rules, secrets = _rules(lines), _secrets(lines)
    details = [f"push protection found {secret.text}" for secret in secrets] + [rule.text for rule in rules]
    found = _FOUND_FOR.fullmatch(sentence) if details else None
    head = f"GitHub refused the push (GH013): {sentence}"
    if found:
        head = f"GitHub refused the push (GH013, rules of {found[1].removeprefix('refs/heads/')}):"
    forbid = any(_FORBIDS_UPDATE.match(rule.sentence) for rule in rules)
    return Violations(message=fitted(head, details, _advice(lines, secrets)), forbid_update=forbid)


def _advice(lines: Sequence[str], secrets: Sequence[_Secret]) -> str:
    allow = next((secret.address for secret in secrets if secret.address), "")
    if secrets:
        remove = "Remove it from the commits" if len(secrets) == 1 else "Remove them from the commits"
        return f"{remove}, or allow it at {allow}" if allow else remove
    review = next((found[1] for line in lines if (found := _REVIEW.fullmatch(line))), "")
    return f"The rules: {review}" if review else ""


def _rules(lines: Sequence[str]) -> list[_Rule]:
    """Each violated rule but for secrets."""
    rules: list[_Rule] = []
    being_read: _Rule | None = None
    for line in lines:
        if _secret_kind(line) or line.startswith("(?)"):
            break  # from here on secrets are told, or how to learn more
        if _BETWEEN.fullmatch(line):
            continue
        if found := _RULE.fullmatch(line):
            being_read = None if found[1] in _HEADINGS else _Rule(sentence=found[1].rstrip("."))
            rules += [being_read] if being_read else []
        elif being_read:
            path = _PATH.fullmatch(line)
            being_read.named.append(path[1] if path else line[:12] if _ID.fullmatch(line) else line)
    return rules


def _secrets(lines: Sequence[str]) -> list[_Secret]:
    secrets: list[_Secret] = []
    commit = ""
    for line in lines:
        if kind := _secret_kind(line):
            secrets.append(_Secret(kind=kind))
        elif not secrets:
            continue
        elif found := _COMMIT.fullmatch(line):
            commit = found[1][:12]
        elif found := _PATH.fullmatch(line):
            secrets[-1].places.append(f"{found[1]} (commit {commit})" if commit else found[1])
        elif _ADDRESS.fullmatch(line) and not secrets[-1].address:
            secrets[-1].address = line
    return secrets


def _secret_kind(line: str) -> str:
    """Of a heading like `—— Amazon AWS Access Key ID ———————`; empty for any other line."""
    ruled = len(line) > 4 and not (line[:2] + line[-2:]).strip(_DASHES)
    return line.strip(f"{_DASHES} ") if ruled else ""
