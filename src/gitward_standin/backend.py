"""`git http-backend` as CGI, streamed both ways: neither a request nor an answer is held in memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import HttpVersion11, web

from gitward_standin.plumbing import Git

log = logging.getLogger(__name__)

PIECE = 256 * 1024  # bytes moved at a time
GRACE = 2.0  # seconds between SIGTERM (git removes its lock files) and SIGKILL
_AGAIN = 0.02  # seconds between two signals


class Backend:
    """Starts one `git http-backend` per request, and ends those that still run when it is stopped."""

    def __init__(self, git: Git, project_root: Path) -> None:
        self._git = git
        self._root = project_root
        self._running: set[asyncio.subprocess.Process] = set()

    async def stop(self) -> None:
        """Ends every child process and waits for it."""
        await asyncio.gather(*(_end(process) for process in tuple(self._running)))

    async def serve(
        self,
        request: web.BaseRequest,
        *,
        path: str,
        user: str | None,
        extra: Mapping[str, str],
        settle: Callable[[], Awaitable[None]],
        silent: bool = False,
    ) -> web.StreamResponse:
        """Lets git answer the request. `path` is PATH_INFO; `extra` is added to git's environment.

        `settle` runs when git is done and before the client can know it. `silent`: git's answer is dropped.
        """
        environment = {**self._git.environment, **self._variables(request, path, user), **extra}
        process = await _started(self._git.executable, environment)
        assert process.stdin is not None
        self._running.add(process)
        complaints = asyncio.create_task(_tail(process))
        feeding = asyncio.create_task(_feed(request, process))
        try:
            response = await _relay(request, process, silent=silent)
            code = await process.wait()
            if code != 0:
                log.info("git http-backend %s exited %d: %s", path, code, (await complaints).strip())
            await settle()
            if not silent:
                await response.write_eof()
            return response
        finally:
            feeding.cancel()
            await _end(process)
            process.stdin.close()
            await _drain(process)
            await asyncio.gather(feeding, complaints, return_exceptions=True)
            self._running.discard(process)

    def _variables(self, request: web.BaseRequest, path: str, user: str | None) -> dict[str, str]:
        variables = {
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": request.rel_url.raw_query_string,
            "REQUEST_METHOD": request.method,
            "REMOTE_ADDR": request.remote or "",
        }
        optional = {
            "REMOTE_USER": user,
            "CONTENT_TYPE": request.headers.get("Content-Type"),
            "CONTENT_LENGTH": request.headers.get("Content-Length"),  # absent for a chunked body
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding"),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol"),
        }
        return variables | {name: value for name, value in optional.items() if value is not None}


async def _started(executable: str, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """git http-backend. A client that leaves meanwhile cancels it only once there is a process that can be ended:
    asyncio itself would kill the first one alone, and wait for ever for pipes that its children hold."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            executable,
            "http-backend",
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a group of its own, so that git's own children end with it
            limit=PIECE,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        assert process.stdin is not None
        process.stdin.close()
        await _end(process)
        raise


async def _feed(request: web.BaseRequest, process: asyncio.subprocess.Process) -> None:
    """The request's body to git's standard input; what git no longer wants is read and dropped.

    A body that breaks off ends git: without a length it could not tell that from the body's end.
    """
    assert process.stdin is not None
    listening, complete = True, False
    try:
        async for piece in request.content.iter_any():
            if listening:
                try:
                    process.stdin.write(piece)
                    await process.stdin.drain()
                except (BrokenPipeError, ConnectionResetError):
                    listening = False
        complete = True
    finally:
        if complete:
            process.stdin.close()
        else:
            await _end(process)


async def _relay(request: web.BaseRequest, process: asyncio.subprocess.Process, *, silent: bool) -> web.StreamResponse:
    """git's answer to the client, but for its end. Chunked, because git does not tell its length."""
    assert process.stdout is not None
    try:
        status, headers = parse_head(await process.stdout.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        status, headers = 500, {"Content-Type": "text/plain"}
    response = web.StreamResponse(status=status, headers=headers)
    if not silent:
        if request.version >= HttpVersion11 and "Content-Length" not in headers:
            response.enable_chunked_encoding()
        await response.prepare(request)
    while piece := await process.stdout.read(PIECE):
        if not silent:
            await response.write(piece)
    return response


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of a CGI answer (RFC 3875): `Status: 403 Forbidden`, 200 when it is missing."""
    status, headers = 200, {}
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers[name] = value.strip()
    return status, headers


async def _tail(process: asyncio.subprocess.Process) -> str:
    """The end of git's standard error."""
    assert process.stderr is not None
    tail = b""
    while piece := await process.stderr.read(PIECE):
        tail = (tail + piece)[-2000:]
    return tail.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends git and its children, gently first: on SIGTERM git removes its lock and temporary files.

    Again and again: a child that git starts in that very moment, with all signals blocked, does not hear the first.
    """
    try:
        async with asyncio.timeout(GRACE):
            while _signal(process, signal.SIGTERM):  # noqa: ASYNC110 -- nothing tells when a group is empty
                await asyncio.sleep(_AGAIN)
    except TimeoutError:
        _signal(process, signal.SIGKILL)
    await process.wait()


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Reads what nobody wants any more: a pipe that is full of it would stay open."""
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(GRACE):
            while await process.stdout.read(PIECE):
                pass


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> bool:
    """Whether anybody was there to get it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
