"""Rules of a repository that pushes are judged by, with GitHub's names for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

TYPES = (
    "creation",
    "update",
    "deletion",
    "non_fast_forward",
    "pull_request",
    "required_status_checks",
    "required_signatures",
    "required_linear_history",
    "commit_message_pattern",
    "commit_author_email_pattern",
    "branch_name_pattern",
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of an active ruleset. Source: GitHub's documentation, "Available rules for rulesets"."""

    type: str  # one of TYPES
    branches: str = "*"  # a glob over branch names; here * matches slashes too
    parameters: Mapping[str, object] = field(default_factory=dict)  # as the REST API has them
    ruleset: int = 1  # the ruleset's number

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"no rule has the type {self.type!r}; the types are {', '.join(TYPES)}")

    def applies_to(self, branch: str) -> bool:
        return fnmatchcase(branch, self.branches)
