"""Our cookies: HttpOnly, SameSite=Lax, and behind TLS `Secure` and `__Host-`, so that no neighbour domain can set them.

Lax and not Strict: a link in a pull request must lead to a signed-in page, and the issuer's answer must bring the
cookie of its question.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gitward.identity.sign_ins import is_secret

SESSION, ATTEMPT = "gitward", "gitward-attempt"
ATTEMPT_SECONDS = 30 * 60  # in which a person has finished with the issuer: password, second factor, consent


def name_of(kind: str, *, secure: bool) -> str:
    return f"__Host-{kind}" if secure else kind


def read(request: Request, kind: str, *, secure: bool) -> str | None:
    """The cookie's secret, if it has the form of one."""
    value = request.cookies.get(name_of(kind, secure=secure), "")
    return value if is_secret(value) else None


def write(response: Response, kind: str, secret: str, *, secure: bool, seconds: int) -> None:
    response.set_cookie(
        name_of(kind, secure=secure), secret, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
    )


def remove(response: Response, kind: str, *, secure: bool) -> None:
    response.set_cookie(
        name_of(kind, secure=secure), "", max_age=0, path="/", secure=secure, httponly=True, samesite="lax"
    )
