"""Errors as problem documents (RFC 9457). They never echo the request's values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from gitward.errors import HTTP_STATUS, Code, FieldError, InvalidRequest, RequestError, Unavailable
from gitward.store import disk

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50  # rejected values that one answer lists
MAX_FIELD = 100  # characters; a name that the caller made up is cut there
_HEADERS = {  # that answers with these statuses carry
    401: ("WWW-Authenticate", "Bearer, with the reason (RFC 6750)."),
    429: ("Retry-After", "Seconds to wait."),
    503: ("Retry-After", "Seconds to wait."),
}


class FieldProblem(BaseModel):
    field: str = Field(description="Dotted path into the body, or the name of a parameter or header.")
    message: str = Field(description="What is allowed.")


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(description="Always about:blank; `code` identifies the kind.")
    title: str
    status: int
    detail: str
    code: Code
    errors: list[FieldProblem] = Field(description="One entry for each rejected value.")


def problem(error: RequestError) -> JSONResponse:
    status = HTTP_STATUS[error.code]
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "errors": [{"field": each.field, "message": each.message} for each in error.errors],
    }
    headers = {}
    if error.code is Code.UNAUTHENTICATED:
        text = error.detail.replace("\\", "").replace('"', "'")
        headers["WWW-Authenticate"] = f'Bearer realm="gitward", error="invalid_token", error_description="{text}"'
    if error.code in {Code.TOO_MANY_REQUESTS, Code.UNAVAILABLE}:
        headers["Retry-After"] = str(error.retry_after if isinstance(error, Unavailable) else 1)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[int | str, dict[str, Any]] = {}
    for status in sorted({HTTP_STATUS[code] for code in codes}):
        answers[status] = {"description": HTTPStatus(status).phrase, "content": content}
        if status in _HEADERS:
            name, text = _HEADERS[status]
            answers[status]["headers"] = {name: {"description": text, "required": True, "schema": {"type": "string"}}}
    return answers


def install(app: FastAPI) -> None:
    """Makes every error that leaves the application a problem document."""

    @app.exception_handler(RequestError)
    async def _request_error(_: Request, error: RequestError) -> JSONResponse:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error.errors())
        return problem(InvalidRequest("The request has values that are not allowed.", errors=errors))

    async def _no_database(request: Request, error: Exception) -> JSONResponse:
        fault = disk.fault_of(error)
        if fault is not None:
            log.warning("%s %s: the disk of the database %s", request.method, request.url.path, fault)
            return problem(Unavailable(f"The disk of the database {fault}; try again when that is fixed."))
        log.warning("%s %s: the database does not answer", request.method, request.url.path, exc_info=error)
        return problem(Unavailable("The database does not answer in time; try again."))

    for kind in (OperationalError, InterfaceError, InternalError, PoolTimeout, TimeoutError):
        app.add_exception_handler(kind, _no_database)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: Code.NOT_FOUND, 405: Code.INVALID_REQUEST}.get(error.status_code, Code.INVALID_REQUEST)
        detail = {404: "This address does not exist.", 405: "This method is not allowed here."}
        body = {
            "type": "about:blank",
            "title": HTTPStatus(error.status_code).phrase,
            "status": error.status_code,
            "detail": detail.get(error.status_code, "The request is not valid."),
            "code": code,
            "errors": [],
        }
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request))
        return JSONResponse(body, error.status_code, headers=headers, media_type=MEDIA_TYPE)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed unexpectedly", request.method, request.url.path, exc_info=error)
        body = {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": "Gitward failed; its log has the details.",
            "code": Code.INTERNAL,
            "errors": [],
        }
        return JSONResponse(body, 500, media_type=MEDIA_TYPE)


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """What pydantic refused, MAX_ERRORS at most; each `loc` begins with where the value stood."""
    return [FieldError(field=_field(each["loc"]), message=_message(each)) for each in errors[:MAX_ERRORS]]


def _allowed(request: Request) -> list[str]:
    """The methods of this address. Starlette's own `Allow` names those of the first route of several only."""
    scope = {name: request.scope[name] for name in ("type", "path", "root_path")}
    routes = request.app.routes
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _field(location: tuple[int | str, ...]) -> str:
    """`("body", "labels", 0)` → `labels.0`; the name alone for parameters and headers."""
    return (".".join(str(part) for part in location[1:]) or str(location[0]))[:MAX_FIELD]


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        elsewhere = " here; POST /schedules creates sessions repeatedly" if error["loc"][-1] == "schedule" else ""
        return f"there is no such field{elsewhere}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
