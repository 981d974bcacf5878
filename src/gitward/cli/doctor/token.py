"""The token: where it comes from, whether GitHub takes it, and what it may do with one repository."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.cli.doctor.parts import Findings, in_thread
from gitward.cli.tokens import app_of, github_of, token_source
from gitward.errors import Reason, RunFailure
from gitward.github import repository_rights
from gitward.github.apps import KeyUnreadable
from gitward.github.client import Connection, GitHub
from gitward.github.concurrent_calls import all_of
from gitward.github.credentials import kind_of
from gitward.github.failures import RENEW
from gitward.github.moved_repositories import find_repository
from gitward.github.names import is_repository, same_repository
from gitward.github.repository_rights import Right, TokenFacts, token_facts
from gitward.github.retries import Patience, Retries
from gitward.github.tokens import Access, Token
from gitward.identity.authorization import refused
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader, TokenUnreadable
from gitward.settings.values import AllowWorkflows

_BRANCH = "gitward/00000000"  # such as a session gets that names none
_ANSWER_SECONDS = 10.0
_SOON = timedelta(days=7)


def _retries() -> Retries:
    return Retries(Patience(total_seconds=5.0))


@contextlib.asynccontextmanager
async def _github(settings: Settings) -> AsyncIterator[GitHub]:
    github = github_of(settings)
    try:
        yield github
    finally:
        await github.stop()


async def look_at_token(settings: Settings, tokens: TokenReader) -> Findings:
    """Where it is from, and whether GitHub takes it."""
    if settings.github_app_id is not None:
        yield await _app(settings, tokens)
        return
    try:
        found = await in_thread(tokens.read)
    except TokenUnreadable as error:
        yield fail("token", str(error))
        return
    if found is None:
        remedy = "set GITHUB_TOKEN, or name a file in GITHUB_TOKEN_FILE"
        yield fail("token", "GITHUB_TOKEN is not set; runs will fail with token_missing", remedy)
        return
    secret, origin = found
    there = f"{kind_of(secret)}, found in {origin}"
    async with _github(settings) as github:
        token = await token_source(settings, tokens, github).take(Access(repository=""))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await github.connect(token, _retries()).get("/")
        except TimeoutError:
            yield _unasked(there)
            return
        except RunFailure as error:
            yield _untaken(there, error)
            return
    yield _taken(there, token_facts(answer.headers))


def _untaken(there: str, error: RunFailure) -> Finding:
    if error.reason in {Reason.INTERNAL, Reason.RATE_LIMITED}:
        return _unasked(there)
    return fail("token", f"{there}: {error.message}", None if RENEW in error.message else RENEW)


def _unasked(there: str) -> Finding:
    return warn("token", f"{there}; GitHub could not be asked about it", "mend the way to GitHub first")


def _taken(there: str, facts: TokenFacts) -> Finding:
    detail = f"{there}; GitHub accepts it"
    if facts.expires is not None:
        detail += f", until {facts.expires:%Y-%m-%d %H:%M} UTC"
        if facts.expires - datetime.now(UTC) < _SOON:
            return warn("token", detail, f"it ends soon: {RENEW}")
    if facts.scopes is not None and "repo" not in facts.scopes:
        remedy = "give it the scope `repo`: without it, private repositories are hidden from it"
        return warn("token", f"{detail}; its scopes are: {', '.join(facts.scopes) or 'none'}", remedy)
    return ok("token", detail)


async def _app(settings: Settings, tokens: TokenReader) -> Finding:
    """Whether GitHub knows the App by its key."""
    async with _github(settings) as github:
        app = app_of(settings, github)
        assert app is not None
        try:
            await in_thread(app.read_key)
            slug = await app.slug(_retries())
        except (KeyUnreadable, RunFailure) as error:
            remedy = "see GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, and the machine's clock"
            return fail("token", str(error), remedy)
    unused = "; GITHUB_TOKEN is not used" if tokens.is_exported else ""
    return ok("token", f"made by the GitHub App {slug}; GitHub accepts its key{unused}")


async def look_at_repository(settings: Settings, tokens: TokenReader, name: str) -> Findings:
    """What the token may do with a repository. Asks GitHub, and writes nothing there."""
    part = f"repo: {name}"
    if not is_repository(name):
        yield fail(part, "is no repository", "write it as owner/name")
        return
    async with _github(settings) as github:
        try:
            token = await token_source(settings, tokens, github).take(Access(repository=name), retries=_retries())
            asked = _Asked(settings=settings, github=github.connect(token, _retries()), token=token, name=name)
            async with contextlib.aclosing(_rights(asked)) as findings:
                async for finding in findings:
                    yield finding
        except RunFailure as error:
            yield fail(part, error.message)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    settings: Settings
    github: Connection
    token: Token
    name: str


async def _rights(asked: _Asked) -> Findings:
    """:raises RunFailure: GitHub does not take the token, or could not be asked."""
    part, github = f"repo: {asked.name}", asked.github
    answer = await find_repository(github, asked.name)
    if answer.status != 200 or not isinstance(answer.body, dict):
        yield fail(part, f"GitHub shows no such repository to the token ({answer.status} {answer.message})", _HIDDEN)
        return
    full, default = str(answer.body["full_name"]), str(answer.body["default_branch"])
    yield _existing(asked, full, answer.body.get("private") is True)
    facts = token_facts(answer.headers)
    scopes = "" if facts.scopes is None else f", with the scopes {', '.join(facts.scopes) or 'none'}"
    yield ok(f"{part}: token", f"{asked.token.kind}{scopes}")
    if (state := repository_rights.state_of(answer)) is not None:
        yield _finding(part, state)
    told = await all_of(
        repository_rights.may_read(github, full, default),
        repository_rights.may_push(github, full),
        repository_rights.may_open_pulls(github, full, default),
    )
    branches = await repository_rights.may_use_branch(github, full, _BRANCH)
    for right in (*told, *branches):
        yield _finding(part, right)
    if asked.settings.allow_workflows is AllowWorkflows.NEVER:
        yield ok(f"{part}: workflows", "no session may change them (GITWARD_ALLOW_WORKFLOWS=never)")
    else:
        yield _finding(part, repository_rights.may_change_workflows(facts, asked.token.granted))


_HIDDEN = (
    "check the name; a fine-grained token must list the repository and be approved by its organization, a classic one "
    "needs the scope `repo`, an App must be installed on it"
)


def _existing(asked: _Asked, full: str, is_private: bool) -> Finding:
    part, kind = f"repo: {asked.name}", "private" if is_private else "public"
    if refused(asked.settings.repo_globs, (), {}, full, ()):
        detail = f"it exists, but sessions may not name it (GITWARD_REPOS={asked.settings.repos})"
        return fail(part, detail, f"add {full} to GITWARD_REPOS")
    if not same_repository(asked.name, full):
        return warn(part, f"it is called {full} by now ({kind})", f"post new sessions with {full}")
    return ok(part, f"it exists ({kind})")


def _finding(part: str, right: Right) -> Finding:
    name = f"{part}: {right.name}"
    if right.may:
        return ok(name, right.detail)
    if right.may is None or right.name == "workflows":
        return warn(name, right.detail, right.remedy or "see what a first session comes to")
    return fail(name, right.detail, right.remedy)
