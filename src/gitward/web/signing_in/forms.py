"""Forms: read within limits, and taken only from pages of ours.

A POST must name an Origin of ours, and carry the token of its sign-in, which no other site can read. `Sec-Fetch-Site`
counts where a browser sends no Origin.
"""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request

from gitward.errors import Forbidden, InvalidRequest, TooLarge
from gitward.web.signing_in.hosts import Hosts

Form = ImmutableMultiDict[str, str]
TOKEN_FIELD, TOKEN_HEADER = "csrf_token", "x-csrf-token"
MAX_FORM = 1024 * 1024  # bytes
MAX_FIELDS = 2000
FORM_SECONDS = 60.0  # for a whole form to arrive


def check_origin(request: Request, hosts: Hosts) -> None:
    """:raises Forbidden: the request comes from another site's page, or does not say from where."""
    origin = request.headers.get("origin")
    is_same_site = request.headers.get("sec-fetch-site") == "same-origin"
    if not (is_same_site if origin is None else hosts.is_own(request, origin)):
        raise Forbidden(
            "This form was not sent by a page of this server as it is known by GITWARD_PUBLIC_URL. Open the page at "
            "that address and send the form again."
        )


def check_token(request: Request, form: Form, expected: str) -> None:
    """:raises Forbidden: the form is not of this sign-in."""
    told = request.headers.get(TOKEN_HEADER) or form.get(TOKEN_FIELD) or ""
    if not hmac.compare_digest(told.encode(), expected.encode()):
        raise Forbidden("This form belongs to an earlier sign-in. Reload the page and send the form again.")


async def read_form(request: Request) -> Form:
    """:raises InvalidRequest, TooLarge: it is no form that is taken here."""
    body = await _body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return Form()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidRequest("A form must be sent as application/x-www-form-urlencoded.")
    return await asyncio.to_thread(_parse, body)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_FORM:
                    raise TooLarge(f"The form is longer than {MAX_FORM} bytes.")
    except TimeoutError:
        raise InvalidRequest(f"The form did not arrive within {FORM_SECONDS:g} s.") from None
    except ClientDisconnect:
        raise InvalidRequest("The browser left before the form was there.") from None
    return bytes(body)


def _parse(body: bytes) -> Form:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidRequest(f"The form must be UTF-8 and have at most {MAX_FIELDS} fields.") from None
    return Form(pairs)
