"""The pages' own application. It stands before the API and takes what is addressed to a page."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitward.errors import HTTP_STATUS, RequestError
from gitward.web import signing_in
from gitward.web.content_policy import content_policy
from gitward.web.routes import (
    app_setup,
    assets,
    diff,
    downloads,
    new,
    operator,
    output,
    overview,
    schedules,
    session,
    stream,
)
from gitward.web.services import WebServices
from gitward.web.signing_in import SigningIn
from gitward.web.templating import render

log = logging.getLogger(__name__)
HEADERS = (
    (b"content-security-policy", content_policy().encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


def create_pages(services: WebServices, sign_in: SigningIn) -> FastAPI:
    """The application over its services; it opens and closes nothing itself."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.services = services
    for module in (assets, overview, new, session, output, diff, downloads, stream, operator, schedules, app_setup):
        app.include_router(module.router)
    app.include_router(session.pull_requests)
    _install_errors(app)
    signing_in.install(app, sign_in)
    app.add_middleware(SecurityHeaders)
    return app


class SecurityHeaders:
    """ASGI middleware: what every answer carries, errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [each for each in HEADERS if each[0] not in given]
                if b"cache-control" not in given:
                    more.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, send_with)


def _install_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def _refused(_: Request, error: RequestError) -> Response:
        return error_page(HTTP_STATUS[error.code], error.detail, [each.message for each in error.errors])

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, __: RequestValidationError) -> Response:
        return error_page(422, "The address has a value that is not allowed.")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        told = {404: "There is no such page.", 405: "This address does not accept this method."}
        return error_page(error.status_code, told.get(error.status_code, "The request is not valid."))

    async def _no_database(request: Request, error: Exception) -> Response:
        log.warning("%s %s: the database does not answer", request.method, request.url.path, exc_info=error)
        return error_page(503, "The database does not answer in time. Nothing was changed; try again.")

    for kind in (SQLAlchemyError, TimeoutError):
        app.add_exception_handler(kind, _no_database)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed unexpectedly", request.method, request.url.path, exc_info=error)
        return error_page(500, "Gitward failed; its log has the details.")


def error_page(status: int, sentence: str, details: list[str] | None = None) -> HTMLResponse:
    html = render("error.html", title=HTTPStatus(status).phrase, sentence=sentence, details=details or [])
    return HTMLResponse(html, status_code=status)
