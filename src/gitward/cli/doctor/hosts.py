"""Hosts beside GitHub's: what is open, the keys that the broker adds there, webhooks, and who reaches the API."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from gitward.broker.client.injected_secrets import SecretSources
from gitward.broker.policy.inject.rules import Injection
from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.cli.doctor.parts import Findings, in_thread
from gitward.cli.egress import egress_config
from gitward.sessions.webhook_targets import read_targets
from gitward.settings.fields import Settings
from gitward.settings.values import LOOPBACK

_NAME_SECONDS = 5.0


async def look_at_egress(settings: Settings) -> Findings:
    """What commands reach beside GitHub."""
    rules = egress_config(settings).rules
    yield ok("other hosts", rules.replace(",", ", ") or "none is open")


async def look_at_keys(settings: Settings, sources: SecretSources) -> Findings:
    """Each secret of GITWARD_INJECT and each key of a model: whether it is there, and its host. Never what it is."""
    checked = await in_thread(sources.checked)
    if not checked:
        yield ok("injected keys", "none")
        return
    findings = await asyncio.gather(*(_key(settings, each, problem) for each, problem in checked))
    for finding in findings:
        yield finding


async def _key(settings: Settings, injection: Injection, problem: str | None) -> Finding:
    target = injection.target
    part = f"key: {target.host}"
    if problem is not None:
        return fail(part, problem, f"export {injection.source}, and start Gitward again")
    there = f"{injection.source} is set"
    if settings.route.proxy_for(target.host, target.port) is not None:
        return ok(part, f"{there}; the host is reached by the proxy")
    try:
        await _require_address(target.host, target.port)
    except OSError as error:  # TimeoutError is one
        detail = f"{there}, but the host has no address here ({type(error).__name__})"
        return warn(part, detail, "check its spelling, and this machine's DNS")
    return ok(part, f"{there}; the broker may connect to the host")  # at any address: the operator named the host


async def _require_address(host: str, port: int) -> None:
    """:raises OSError: it has none, or nobody says so in time."""
    async with asyncio.timeout(_NAME_SECONDS):
        await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def look_at_webhooks(settings: Settings) -> Findings:
    """The server's own targets; their addresses may be secrets."""
    targets = await in_thread(lambda: read_targets(settings.webhooks_file))
    hosts = sorted({urlsplit(each.url).hostname or "" for each in targets.values()})
    own = f"{len(targets)} of the server's own, to {', '.join(hosts)}" if targets else "none of the server's own"
    yield ok("webhooks", own)


async def look_at_listening(settings: Settings) -> Findings:
    """Whether strangers could read what callers send: Gitward speaks HTTP, and leaves TLS to what stands before it."""
    public = settings.public_url or ""
    if settings.host in LOOPBACK or settings.host.startswith("127."):
        if public.startswith("http://") and urlsplit(public).hostname not in LOOPBACK:
            yield _unencrypted(f"{public} is no https address")
        else:
            yield ok("listening", f"on {settings.host}, which only this machine reaches")
    elif public.startswith("https://"):
        yield ok("listening", f"on {settings.host}; people come by {public}")
    else:
        yield _unencrypted(f"on {settings.host}, which other machines may reach, over plain HTTP")


def _unencrypted(detail: str) -> Finding:
    remedy = "put a proxy with TLS in front, and set GITWARD_PUBLIC_URL to its https address"
    return warn("listening", detail, remedy)


def injected_places(injections: Sequence[Injection]) -> list[tuple[str, int]]:
    """Host and port of each, as agents look for their keys."""
    return [(each.target.host, each.target.port) for each in injections]
