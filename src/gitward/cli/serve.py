"""`gitward serve`: the API, with a worker inside unless `--no-worker` is given."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import uvicorn

from gitward.cli.child_processes import mask_proxy_login, running_child_processes
from gitward.cli.client_secret import take_client_secret
from gitward.cli.concurrent_entry import enter_both
from gitward.cli.descriptor_limit import raise_limit
from gitward.cli.egress import seal_model_keys
from gitward.cli.preloading import loaded
from gitward.cli.safe_start import prepare_start
from gitward.cli.signals import Signals, drain
from gitward.cli.start_garbage import resume_collection
from gitward.errors import SettingsError
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader

if TYPE_CHECKING:
    from gitward.cli.wiring import Service

GRACE_SECONDS = 10  # for answers that are under way when the server is asked to stop


class Server(uvicorn.Server):
    """uvicorn, which lets the rest of the service stop in order after it.

    uvicorn itself raises the signal again when it has stopped, and that would end the process before its sandboxes.
    """

    def __init__(self, service: Service) -> None:
        config = uvicorn.Config(
            service.app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=64 * 1024,
        )
        super().__init__(config)
        self._stopping = service.stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Live streams end first, so that uvicorn need not wait for them."""
        self.should_exit = True
        self._stopping.set()


async def serve(settings: Settings, tokens: TokenReader, *, with_worker: bool) -> None:
    """Serves until SIGTERM or SIGINT. Prints the address on standard output when it is ready.

    The first signal lets runs end (GITWARD_GRACE_SECONDS), while callers are still answered; the second one ends all.
    """
    with _listen(settings.host, settings.port) as listeners:
        port = listeners[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        base_url = f"http://{host}:{port}"
        async with _service(settings, tokens, base_url=base_url, with_worker=with_worker) as service:
            signals = Signals()
            server = Server(service)
            ending = asyncio.create_task(_end(server, service, signals, seconds=settings.grace_seconds))
            resume_collection()
            print(f"Gitward is ready at {base_url}", flush=True)
            if service.sign_in_link is not None:
                print(f"Sign in, once, within 10 minutes: {service.sign_in_link}", flush=True)
            try:
                await server.serve(sockets=listeners)
            finally:
                ending.cancel()
                await asyncio.wait([ending])


@contextlib.asynccontextmanager
async def _service(
    settings: Settings, tokens: TokenReader, *, base_url: str, with_worker: bool
) -> AsyncIterator[Service]:
    raise_limit()
    prepare_start(settings, with_worker=with_worker)
    mask_proxy_login(settings)
    client_secret = take_client_secret(settings)
    async with contextlib.AsyncExitStack() as stack:
        hands = None
        if with_worker:
            hands, _ = await enter_both(stack, running_child_processes(settings), loaded("gitward.cli.wiring"))
        else:
            seal_model_keys()
        from gitward.cli.wiring import running_service

        yield await stack.enter_async_context(
            running_service(settings, tokens, hands, base_url=base_url, client_secret=client_secret)
        )


async def _end(server: Server, service: Service, signals: Signals, *, seconds: float) -> None:
    await signals.first.wait()
    if service.worker is not None:
        await drain(service.worker, signals, seconds=seconds)
    server.stop()
    await (signals.second if service.worker is None else signals.third).wait()
    server.force_exit = True


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[list[socket.socket]]:
    """At the host's first address; at `localhost` at each, because some callers try but one of 127.0.0.1 and ::1.

    :raises SettingsError: the address cannot be used.
    """
    with contextlib.ExitStack() as held:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            listeners = [held.enter_context(_listener(found[0][0], host=found[0][4][0], port=port))]
            others = found[1:] if host == "localhost" else []
            for family, _, _, _, address in others:
                with _unless_it_cannot_be(is_chosen=bool(port)):
                    chosen = listeners[0].getsockname()[1]
                    listeners.append(held.enter_context(_listener(family, host=address[0], port=chosen)))
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "not a host name"
            raise SettingsError([f"GITWARD_HOST, GITWARD_PORT: cannot listen on {host}:{port}: {why}"]) from None
        yield listeners


def _listener(family: int, *, host: str | int, port: int) -> socket.socket:
    listener = socket.create_server((host, port), family=family, backlog=512)
    # asyncio sets this only on sockets whose protocol number is given; without it every answer on a kept connection
    # waits for the client's delayed acknowledgement, about 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.contextmanager
def _unless_it_cannot_be(*, is_chosen: bool) -> Iterator[None]:
    """Goes on where the machine has no such address, and where a free port of one address is taken at another.

    A port that somebody chose is refused when it is taken: callers would reach another program there.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE and is_chosen:
            raise
        if error.errno not in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise


def run(settings: Settings, tokens: TokenReader, *, with_worker: bool = True) -> None:
    asyncio.run(serve(settings, tokens, with_worker=with_worker))
