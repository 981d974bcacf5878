"""`gitward serve`: the API with a worker inside."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn

from gitward.cli.wiring import Service, running_service
from gitward.errors import SettingsError
from gitward.settings import Settings, TokenReader

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
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
        loop = asyncio.get_running_loop()
        for each in _SIGNALS:
            loop.add_signal_handler(each, self._stop)
        yield

    def _stop(self) -> None:
        """Live streams end first, so that uvicorn need not wait for them. A second signal ends them by force."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stopping.set()


async def serve(settings: Settings, tokens: TokenReader) -> None:
    """Serves until SIGTERM or SIGINT. Prints the address on standard output when it is ready."""
    with _listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        base_url = f"http://{host}:{port}"
        async with running_service(settings, tokens, base_url=base_url) as service:
            print(f"Gitward is ready at {base_url}", flush=True)
            await Server(service).serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """:raises SettingsError: the address cannot be used."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a host name"
        raise SettingsError([f"GITWARD_HOST, GITWARD_PORT: cannot listen on {host}:{port}: {why}"]) from None
    # asyncio sets this only on sockets whose protocol number is given; without it every answer on a kept connection
    # waits for the client's delayed acknowledgement, about 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run(settings: Settings, tokens: TokenReader) -> None:
    asyncio.run(serve(settings, tokens))
