"""What a token may do with a repository, asked of GitHub before any run does. Nothing is written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gitward.errors import RunFailure
from gitward.github import branch_obstacles
from gitward.github.branch_obstacles import find_obstacle
from gitward.github.client import Answer, Connection, path_of
from gitward.github.concurrent_calls import together
from gitward.github.failures import expiration
from gitward.github.rules import active_rules, find_refusals

_LEVELS = frozenset({"write", "admin"})


@dataclass(frozen=True, kw_only=True)
class Right:
    """One thing that a token may do, or not; None: GitHub does not tell beforehand."""

    name: str
    may: bool | None
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """What GitHub tells of a token with any answer."""

    scopes: tuple[str, ...] | None  # of a classic token; None: it has none, its permissions are fine-grained
    expires: datetime | None


def token_facts(headers: Mapping[str, str]) -> TokenFacts:
    told = headers.get("x-oauth-scopes")
    scopes = None if told is None else tuple(part.strip() for part in told.split(",") if part.strip())
    return TokenFacts(scopes=scopes, expires=expiration(headers))


async def may_read(github: Connection, repository: str, default: str) -> Right:
    answer = await github.get(path_of(repository, "branches", default))
    if answer.status == 200:
        return Right(name="read", may=True, detail=f"its branch {default} can be read")
    if answer.status == 404:
        detail = f"there is no branch {default} to start from: the repository is empty"
        return Right(name="read", may=False, detail=detail, remedy="push a first commit to it (a README will do)")
    detail = f"GitHub does not show its content ({answer.status} {answer.message})"
    return Right(name="read", may=False, detail=detail, remedy=_contents())


async def may_push(github: Connection, repository: str) -> Right:
    """By git's own door: the API knows the role of a person, and not what a fine-grained token may do."""
    try:
        status, text = await github.may_push(repository)
    except RunFailure as error:
        return Right(name="push", may=False, detail=error.message)
    if status == 200:
        return Right(name="push", may=True, detail="git may push to it")
    detail = f"git may not push to it ({status} {text})".replace(" )", ")")
    return Right(name="push", may=False, detail=detail, remedy=_contents())


async def may_open_pulls(github: Connection, repository: str, default: str) -> Right:
    """By a request that can make none: of a branch into itself. GitHub looks at the permission first."""
    body = {"title": "Gitward looks whether it may open pull requests", "head": default, "base": default}
    answer = await github.post(path_of(repository, "pulls"), body, repeatable=True)
    if answer.status == 422:
        return Right(name="pull requests", may=True, detail="it may open pull requests")
    if answer.status in {403, 404}:
        detail = f"it may not open pull requests ({answer.status} {answer.message})"
        remedy = "give the token `Pull requests: read and write` (fine-grained, App) or the scope `repo` (classic)"
        return Right(name="pull requests", may=False, detail=detail, remedy=remedy)
    detail = f"GitHub does not tell whether it may open pull requests ({answer.status} {answer.message})"
    return Right(name="pull requests", may=None, detail=detail, remedy="see what a first session comes to")


def may_change_workflows(facts: TokenFacts, granted: Mapping[str, str] | None) -> Right:
    """:param granted: an App's permissions, where the token is one's."""
    remedy = "needed only for sessions that change .github/workflows/: "
    if granted is not None:
        may: bool | None = granted.get("workflows") in _LEVELS
        remedy += "grant the App `Workflows: write`"
    elif facts.scopes is not None:
        may = "workflow" in facts.scopes
        remedy += "give the token the scope `workflow`"
    else:
        may = None
        remedy += "give the token `Workflows: read and write`"
    words = {True: "it may change workflows", False: "it may not change workflows"}
    detail = words[may] if may is not None else "GitHub does not tell whether a fine-grained token may change workflows"
    return Right(name="workflows", may=may, detail=detail, remedy=None if may else remedy)


async def may_use_branch(github: Connection, repository: str, branch: str) -> list[Right]:
    """Whether a branch of this name can be made and pushed: names in its way, and the repository's rules."""
    obstacle, rules = await together(
        find_obstacle(github, repository, branch), active_rules(github, repository, branch)
    )
    found: list[Right] = []
    if obstacle is not None:
        sentence = branch_obstacles.sentence(repository, branch, obstacle)
        found.append(Right(name="branches", may=False, detail=sentence))
    for refusal in await find_refusals(github, repository, branch, rules, exists=False):
        may = False if refusal.is_certain else None
        remedy = "let the rule exempt the token's owner, or post sessions with a `branch` that it allows"
        found.append(Right(name="branches", may=may, detail=refusal.message, remedy=remedy))
    return found or [Right(name="branches", may=True, detail=f"nothing stands in the way of a branch {branch}")]


def state_of(answer: Answer) -> Right | None:
    """What makes the repository of no use to a run; None: nothing."""
    about = answer.body if isinstance(answer.body, dict) else {}
    if about.get("archived"):
        return Right(name="state", may=False, detail="it is archived and read-only", remedy="unarchive it on GitHub")
    if about.get("disabled"):
        return Right(name="state", may=False, detail="GitHub has disabled it", remedy="ask GitHub's support why")
    return None


def _contents() -> str:
    return "give the token `Contents: read and write` (fine-grained, App) or the scope `repo` (classic)"
