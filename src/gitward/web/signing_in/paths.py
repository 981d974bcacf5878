"""Where a person wanted to go, and may be led after the sign-in: to a path of ours, nowhere else."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from starlette.requests import Request

SIGN_IN, SIGN_OUT, SIGNED_OUT = "/sign-in", "/sign-out", "/signed-out"
START, CALLBACK = "/sign-in/start", "/sign-in/callback"
HOME = "/"
MAX_PATH = 500  # characters
# One slash and then none: `//host` and, for browsers, `/\host` name another host. No control character: some are
# skipped by browsers, which then see the two slashes.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def safe(path: str | None) -> str:
    """The path, or the first page."""
    if (
        not path
        or len(path) > MAX_PATH
        or not _PATH.fullmatch(path)
        or path.startswith((SIGN_IN, SIGN_OUT, SIGNED_OUT))
    ):
        return HOME
    return path


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
