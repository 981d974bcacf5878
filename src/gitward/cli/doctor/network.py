"""What the service must reach: GitHub, the operator's proxy, issuers; and whether the clock agrees with theirs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx2

from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.cli.doctor.parts import Findings
from gitward.errors import Unavailable
from gitward.github.transport import ProxyFailed, RoutedTransport
from gitward.identity.oidc import Issuer, is_safe_url
from gitward.settings.environment import variables
from gitward.settings.fields import Settings

ANSWER_SECONDS = 8.0  # for one answer
_TOLD_SECONDS, _WRONG_SECONDS = 5.0, 60.0  # of skew: worth a word; proofs and tokens are refused
_DATE_SECONDS = 1.0  # a Date header knows no parts of a second
_IGNORED_PROXIES = ("ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
_SYNCHRONISE = "synchronise this machine's clock (on Debian: apt-get install chrony)"


@dataclass(frozen=True, kw_only=True)
class Reached:
    """An answer, whatever it says."""

    seconds: float
    skew: float | None  # seconds that this machine's clock is ahead of the answer's Date; None: it has none


@contextlib.asynccontextmanager
async def http_client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """By the operator's proxy, where the settings say so; without any token."""
    roots = ssl.create_default_context(cafile=str(settings.ssl_cert_file) if settings.ssl_cert_file else None)
    transport = RoutedTransport(settings.route, roots)
    async with httpx2.AsyncClient(
        transport=transport, timeout=ANSWER_SECONDS, follow_redirects=False, trust_env=False
    ) as http:
        yield http


async def look_at_github(settings: Settings) -> Findings:
    """Whether it answers at all: what the token may do there is another part's."""
    async with http_client(settings) as http:
        urls = list(dict.fromkeys((settings.effective_upstream_url, settings.effective_upstream_api_url)))
        ways = "; ".join(f"{url} {_way(settings, url)}" for url in urls)
        answers = await asyncio.gather(*(_reach(http, url) for url in urls))
    silent = [f"{url} {each}" for url, each in zip(urls, answers, strict=True) if isinstance(each, str)]
    if silent:
        remedy = "open the way to it, or name the proxy that leads there in HTTPS_PROXY, its roots in SSL_CERT_FILE"
        yield fail("GitHub", f"{ways}: {'; '.join(silent)}", remedy)
    else:
        slowest = max(each.seconds for each in answers if isinstance(each, Reached))
        yield ok("GitHub", f"{ways}: answers within {slowest * 1000:.0f} ms")


async def look_at_proxy(settings: Settings) -> Findings:
    """Whether it listens. Its login is never shown."""
    proxy = settings.https_proxy
    if proxy is None:
        ignored = [name for name in _IGNORED_PROXIES if variables().get(name, "").strip()]
        if ignored:
            remedy = "set HTTPS_PROXY, if GitHub is reached by a proxy"
            yield warn("proxy", f"none: {' and '.join(ignored)} is set, which Gitward does not read", remedy)
        else:
            yield ok("proxy", "none (HTTPS_PROXY is not set)")
        return
    login = "with a login" if proxy.login is not None else "without a login"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.close()
    except OSError as error:  # TimeoutError is one
        why = "does not answer" if isinstance(error, TimeoutError) else f"cannot be reached ({type(error).__name__})"
        yield fail("proxy", f"{proxy} {why}", "see that HTTPS_PROXY has its host and port, and that it runs")
        return
    exceptions = f"; not for {settings.no_proxy}" if settings.no_proxy else ""
    yield ok("proxy", f"{proxy} listens, used {login}{exceptions}")


async def look_at_issuers(settings: Settings) -> Findings:
    """Their discovery documents and their keys, and the addresses that a sign-in of browsers needs."""
    if not settings.issuers:
        yield ok("issuers", "none: the local key signs tokens (gitward token)")
        return
    async with http_client(settings) as http:
        for finding in await asyncio.gather(*(_issuer(settings, url, http) for url in settings.issuers)):
            yield finding


async def _issuer(settings: Settings, url: str, http: httpx2.AsyncClient) -> Finding:
    part = f"issuer: {url}"
    if not is_safe_url(url):
        return fail(part, "is no https address", "write it in GITWARD_OIDC_ISSUERS with https://")
    issuer = Issuer(url, http)
    try:
        keys = await issuer.count_keys()
        described = await issuer.description()
    except Unavailable as error:
        remedy = "see that the address is spelled as the issuer does, and that this machine reaches it"
        return fail(part, f"its keys cannot be fetched: {error}", remedy)
    finally:
        await issuer.stop()
    needed = ("authorization_endpoint", "token_endpoint") if _signs_in(settings, url) else ()
    missing = [name for name in needed if not is_safe_url(str(described.get(name, "")))]
    if missing:
        remedy = "take GITWARD_OIDC_CLIENT_ID out, or name another issuer in GITWARD_OIDC_SIGN_IN_ISSUER"
        return fail(part, f"browsers cannot sign in there: it has no https {' and no '.join(missing)}", remedy)
    return ok(part, f"answers, with {keys} signing {'key' if keys == 1 else 'keys'}")


def _signs_in(settings: Settings, url: str) -> bool:
    return settings.oidc_client_id is not None and url == (settings.oidc_sign_in_issuer or settings.issuers[0])


async def look_at_clock(settings: Settings) -> Findings:
    """Against GitHub's; where that does not answer, against an issuer's."""
    async with http_client(settings) as http:
        for url in (settings.effective_upstream_api_url, *settings.issuers):
            reached = await _reach(http, url)
            if isinstance(reached, Reached) and reached.skew is not None:
                yield _clock(url, reached.skew)
                return
    yield warn("clock", "nobody told the time, so it is not known whether it is right", "mend the way to GitHub first")


def _clock(url: str, skew: float) -> Finding:
    if abs(skew) <= _TOLD_SECONDS:
        return ok("clock", f"agrees with {url}")
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {url}"
    if abs(skew) <= _WRONG_SECONDS:
        return warn("clock", detail, _SYNCHRONISE)
    return fail("clock", f"{detail}: tokens and signatures with a time in them are refused", _SYNCHRONISE)


async def _reach(http: httpx2.AsyncClient, url: str) -> Reached | str:
    """The answer to a request without a token; or what came instead, in words that go on after the address."""
    began, mono = time.time(), time.monotonic()
    try:
        async with asyncio.timeout(ANSWER_SECONDS), http.stream("GET", f"{url}/") as answer:
            seconds = time.monotonic() - mono
            date = answer.headers.get("date")
    except TimeoutError:
        return f"does not answer within {ANSWER_SECONDS:g} s"
    except httpx2.InvalidURL as error:
        return f"is no address that can be asked ({error})"
    except httpx2.HTTPError as error:
        told = str(error) if isinstance(error, ProxyFailed) else type(error).__name__
        return f"cannot be reached ({told})"
    return Reached(seconds=seconds, skew=_skew(date, began, seconds))


def _skew(date: str | None, began: float, seconds: float) -> float | None:
    """What is surely skew: neither the way of the answer nor the rounding of its Date."""
    if date is None:
        return None
    try:
        told = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    ahead, behind = began - (told + _DATE_SECONDS), told - (began + seconds)
    return max(ahead, 0.0) or -max(behind, 0.0)


def _way(settings: Settings, url: str) -> str:
    proxy = settings.route.proxy_for_url(url)
    return "directly" if proxy is None else f"by the proxy {proxy}"
