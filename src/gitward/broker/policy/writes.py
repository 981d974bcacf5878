"""What a command may write beside its branch: the values that GITWARD_WRITES=own allows, with their sentences."""

from __future__ import annotations

from typing import Any

from gitward.broker.policy.argument import Argument
from gitward.broker.policy.verdict import Verdict, deny
from gitward.grants.closing_keywords import closes_elsewhere
from gitward.grants.grant import Grant

RULE = "writes.own"
LONGEST_TEXT = 65_536  # characters: GitHub's own bound
PEOPLE_RULE = "writes.people"
SETTING = "GITWARD_WRITES=repository allows more"
OWN_ONLY = (
    "this session may write title, body and comments of its own pull request and of issues that it opened, and "
    f"turn the pull request into a draft; its POST sets everything else ({SETTING})"
)
NOT_OWN = f"{{what}} is neither this session's pull request nor an issue that it opened; {OWN_ONLY}"
NOT_PEOPLE = "{login} is not a person; only people can be assigned or asked for a review, no bots or coding agents"


def _is_text(value: Any, grant: Grant) -> bool:
    if value is None:
        return True
    short = isinstance(value, str) and len(value) <= LONGEST_TEXT
    return short and closes_elsewhere(value, grant.repository) is None


def _is_target(value: Any, grant: Grant) -> bool:
    return isinstance(value, str) and value == grant.target_branch


def _is_draft(value: Any, grant: Grant) -> bool:
    return value is True or (grant.ready and value in (None, False))


def _is_logins(value: Any, _: Grant) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))


TEXT = Argument(
    allows=f"a text that closes only issues of the session's repository ({SETTING})",
    accepts=_is_text,
    bounded=False,  # by itself: a text may be as long as GitHub takes it
)
BASE = Argument(allows=f"the session's target branch ({SETTING})", accepts=_is_target, required=True)
DRAFT = Argument(
    allows=f"true, unless the session's POST wants a pull request that is ready for review ({SETTING})",
    accepts=_is_draft,
    implied=True,
)
UNSET = Argument(allows=f"absent: the session's POST sets it ({SETTING})", accepts=lambda value, _: value is None)
NONE = Argument(allows=f"empty: the session's POST sets it ({SETTING})", accepts=lambda value, _: value in (None, []))
PEOPLE = Argument(allows="a list of logins, of people only", accepts=_is_logins, people=True)
NO_BOTS = Argument(allows="empty: no bots or coding agents", accepts=lambda value, _: value in (None, []))


def not_own(what: str) -> Verdict:
    return deny(RULE, NOT_OWN.format(what=what[:60]))


def not_a_person(login: str) -> Verdict:
    return deny(PEOPLE_RULE, NOT_PEOPLE.format(login=login[:60]))
