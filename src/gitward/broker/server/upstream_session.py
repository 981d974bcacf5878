"""The HTTP client with which a broker asks upstream: it follows, unpacks, remembers and adds nothing by itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector


def open_session(
    tls: ssl.SSLContext | None, *, timeout: ClientTimeout, longest_header: int, left_out: Iterable[str]
) -> ClientSession:
    """:param left_out: headers that aiohttp would add."""
    return ClientSession(
        connector=TCPConnector(ssl=tls if tls is not None else True, limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=timeout,
        max_line_size=longest_header,
        max_field_size=longest_header,
        skip_auto_headers=left_out,
    )
