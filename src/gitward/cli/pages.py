"""Assembles the pages over the parts of a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import FastAPI

from gitward.agents.installed import Offer
from gitward.api.services import Services
from gitward.cli.health import ServiceHealth
from gitward.cli.page_requests import PageRequests
from gitward.cli.tokens import github_of
from gitward.github.app_key_files import AppKeyFiles
from gitward.github.app_registration import AppRegistration
from gitward.github.credentials import kind_of
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenOrigin, TokenReader, TokenUnreadable
from gitward.settings.values import AllowWorkflows, MiB
from gitward.telemetry.metrics import Budget
from gitward.web.app import create_pages
from gitward.web.conversation import Conversation
from gitward.web.live.boards import Boards, View
from gitward.web.routes.session import head_parts
from gitward.web.services import Check, Environment, MirrorSize, OperatorFacts, WebServices
from gitward.web.signing_in import SigningIn
from gitward.web.templating import duration, part

MOST_MIRRORS = 200


def pages_of(
    services: Services,
    *,
    watch: ServiceHealth,
    sign_in: SigningIn,
    settings: Settings,
    with_worker: bool,
    tokens: TokenReader | None = None,
) -> FastAPI:
    """The pages' application.

    :param tokens: the operator's own token, if this process has one.
    """

    def head(view: View, talk: Conversation) -> Sequence[str]:
        return head_parts(settings.github_server_url, view, talk)

    async def facts() -> OperatorFacts:
        return await _facts(watch, settings, tokens, with_worker=with_worker)

    boards = Boards(
        database=services.database,
        sessions=services.sessions,
        feeds=services.feeds,
        render_head=head,
        render_item=lambda item, agent: str(part("items.html", "item")(item, agent)),
    )
    agents = services.agents
    web = WebServices(
        database=services.database,
        sessions=services.sessions,
        boards=boards,
        requests=PageRequests(services=services),
        stopping=services.stopping,
        facts=facts,
        offers=lambda: _offers(services),
        default_agent=lambda: agents.default() if agents is not None and not services.agents_elsewhere else None,
        environments=lambda: _environments(services),
        app_registration=_app_registration(settings) if with_worker else None,
        repositories=tuple(each for each in services.repo_globs if not set(each) & set("*?[")),
        github=settings.github_server_url,
    )
    return create_pages(web, sign_in)


def _app_registration(settings: Settings) -> AppRegistration:
    """Of one machine: permission and key are files in its data folder, which other servers do not see."""
    return AppRegistration(
        files=AppKeyFiles(settings.data_dir),
        server_url=settings.github_server_url,
        connect=lambda: github_of(settings),
        may_change_workflows=settings.allow_workflows is not AllowWorkflows.NEVER,
        used_id=settings.github_app_id,
    )


def _offers(services: Services) -> Sequence[Offer]:
    if services.agents is None:
        return ()
    offers = services.agents.offers()
    return [each.elsewhere() for each in offers] if services.agents_elsewhere else offers


def _environments(services: Services) -> Sequence[Environment]:
    known = services.environments
    return [
        Environment(name=each.name, ready=each.ready, reason=each.reason, is_default=each.name == known.default)
        for each in known.offers(here=not services.agents_elsewhere)
    ]


async def _facts(
    watch: ServiceHealth, settings: Settings, tokens: TokenReader | None, *, with_worker: bool
) -> OperatorFacts:
    checks = [Check(name=each.name, ok=each.ok, detail=each.detail) for each in await watch.checks()]
    told = watch.github.limits.snapshot() if watch.github is not None else ()
    return OperatorFacts(
        checks=checks,
        figures=await watch.figures(),
        budgets=[
            Budget(holder=each.holder, resource=each.resource, limit=each.limit, remaining=each.remaining)
            for each in told
        ],
        token_source=await asyncio.to_thread(_token_source, settings, tokens) if with_worker else None,
        tokens=None if watch.github is None else watch.github.tokens.snapshot(),
        mirrors=await asyncio.to_thread(_mirrors, settings) if with_worker else None,
        mirror_limit=settings.mirror_mib,
        limits=_limits(settings),
    )


def _token_source(settings: Settings, tokens: TokenReader | None) -> str:
    """In words, and nothing of a token."""
    if settings.github_app_id is not None:
        return f"made by the GitHub App {settings.github_app_id}"
    try:
        found = None if tokens is None else tokens.read()
    except TokenUnreadable as error:
        return str(error)
    if found is None:
        return "There is none: runs fail with token_missing."
    secret, origin = found
    place = {TokenOrigin.ENVIRONMENT: "the environment"}.get(origin, origin)
    return f"{kind_of(secret)}, from {place}"


def _mirrors(settings: Settings) -> Sequence[MirrorSize]:
    try:
        found = MirrorCollection(settings.data_dir / "mirrors").all()[:MOST_MIRRORS]
    except OSError:  # there are none, or they are another user's
        return ()
    named = [(each.key if each.meta is None else each.meta.names[-1], each.size) for each in found]
    return [MirrorSize(name=name, megabytes=round(size / MiB)) for name, size in named]


def _limits(settings: Settings) -> Mapping[str, str]:
    """Settings that decide why something waits or ends."""
    return {
        "Runs at once": str(settings.max_runs),
        "Of one user": str(settings.max_runs_per_user),
        "Of one worker": str(settings.slots),
        "Time of a run": duration(settings.run_timeout_seconds),
        "Repositories": ", ".join(settings.repo_globs) or "all that the token may use",
    }
