"""Where a person wanted to go, and may be led after the sign-in: to a path of ours, nowhere else."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from starlette.requests import Request

SIGN_IN, SIGN_OUT, SIGNED_OUT = "/sign-in", "/sign-out", "/signed-out"
START, CALLBACK = "/sign-in/start", "/sign-in/callback"
HOME = "/"
APP_SETUP, APP_MADE = "/setup/app", "/setup/app/made"
# Pages whose query is a secret, like a code of GitHub that still makes a key, and where a person is led instead: what
# was wanted stands in the issuer's address, and so in its log. (Those of sign-in itself are nobody's goal.)
_SECRET_QUERY = {APP_MADE: APP_SETUP}
MAX_PATH = 500  # characters
# One slash and then none: `//host` and, for browsers, `/\host` name another host. No control character: some are
# skipped by browsers, which then see the two slashes.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def safe(path: str | None) -> str:
    """The path, without a secret that stands in it; or the first page."""
    if (
        not path
        or len(path) > MAX_PATH
        or not _PATH.fullmatch(path)
        or path.startswith((SIGN_IN, SIGN_OUT, SIGNED_OUT))
    ):
        return HOME
    return _SECRET_QUERY.get(path.partition("?")[0], path)


def wanted_by(request: Request) -> str:
    """Where a request without a cookie wanted to go; for a form or a part of a page, the page that has it."""
    is_page = request.method in {"GET", "HEAD"} and "hx-request" not in request.headers
    if is_page:
        url = request.url
        return safe(f"{url.path}?{url.query}" if url.query else url.path)
    try:
        told = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer", ""))
    except ValueError:
        return HOME
    return safe(f"{told.path}?{told.query}" if told.query else told.path)


def sign_in(wanted: str, path: str = SIGN_IN) -> str:
    return path if wanted == HOME else f"{path}?next={quote(wanted, safe='/')}"
