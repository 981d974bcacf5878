"""Whose tokens are taken, and where browsers sign in, as the settings say."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2

from gitward.errors import SettingsError
from gitward.github.transport import RoutedTransport
from gitward.identity.authorization import Holder, Rule, holders_of_claim, local_holder, parse_operators, parse_rules
from gitward.identity.code_flow import Client, CodeFlow
from gitward.identity.keys import load_or_make_key, public_key
from gitward.identity.oidc import ANSWER_SECONDS, Issuer, is_safe_url
from gitward.identity.verifier import Verifier
from gitward.secrets import Secret
from gitward.settings.fields import Settings


@dataclass(frozen=True, kw_only=True)
class Identities:
    """What proves who somebody is."""

    verifier: Verifier
    flow: CodeFlow | None  # None: browsers sign in by links, or not at all


@contextlib.asynccontextmanager
async def identities(settings: Settings, client_secret: Secret | None) -> AsyncIterator[Identities]:
    """With issuers, theirs are the only tokens that are taken; without, those of the local key."""
    unsafe = [issuer for issuer in settings.issuers if not is_safe_url(issuer)]
    if unsafe:
        raise SettingsError(
            [f"GITWARD_OIDC_ISSUERS: {issuer} is no https:// address that can be asked" for issuer in unsafe]
        )
    if not settings.issuers:
        key = load_or_make_key(settings.data_dir)
        yield Identities(verifier=Verifier(public_key(key), audience=settings.oidc_audience), flow=None)
        return
    roots = ssl.create_default_context(cafile=str(settings.ssl_cert_file) if settings.ssl_cert_file else None)
    transport = RoutedTransport(settings.route, roots)
    async with httpx2.AsyncClient(transport=transport, timeout=ANSWER_SECONDS, trust_env=False) as http:
        issuers = [Issuer(url, http) for url in settings.issuers]
        for issuer in issuers:
            issuer.start()
        try:
            yield Identities(
                verifier=Verifier(None, audience=settings.oidc_audience, issuers=issuers),
                flow=_flow(settings, issuers, http, client_secret),
            )
        finally:
            for issuer in issuers:
                await issuer.stop()


def _flow(
    settings: Settings, issuers: list[Issuer], http: httpx2.AsyncClient, client_secret: Secret | None
) -> CodeFlow | None:
    if settings.oidc_client_id is None:
        return None
    chosen = settings.oidc_sign_in_issuer or settings.issuers[0]
    issuer = next(each for each in issuers if each.url == chosen)
    client = Client(
        id=settings.oidc_client_id, secret=client_secret, scopes=settings.oidc_scopes, claims=_named_claims(settings)
    )
    return CodeFlow(issuer, client, http)


def _named_claims(settings: Settings) -> frozenset[str]:
    """The claims that decide something."""
    holders: list[Holder] = [*rules_of(settings), *operators_of(settings)]
    return frozenset(condition.claim for holder in holders for condition in holder.conditions)


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    if settings.asks_collaborators and settings.login_claim is not None:
        return holders_of_claim(settings.login_claim, settings.issuers)
    try:
        return parse_rules(settings.authorize, settings.issuers)
    except ValueError as error:
        raise SettingsError([f"GITWARD_AUTHORIZE: {error}"]) from None


def operators_of(settings: Settings) -> tuple[Holder, ...]:
    """Without issuers, and unless others are named: whoever signs in by a link of this machine."""
    named = settings.operators
    if not named.strip() and not settings.issuers:
        return (local_holder(settings.local_subject),)
    try:
        return parse_operators(named, settings.issuers)
    except ValueError as error:
        raise SettingsError([f"GITWARD_OPERATORS: {error}"]) from None
