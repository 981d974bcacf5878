"""The stand-in as a server on loopback: its whole public interface."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from gitward_standin.accounts import Token
from gitward_standin.apps import ALL, App, Installation
from gitward_standin.backend import Backend
from gitward_standin.front import Front
from gitward_standin.model import Repository
from gitward_standin.push_rules import install_hook
from gitward_standin.site import README, Links, Site
from gitward_standin.traffic import Fault, Gate, Outage, ReceivedRequest, Traffic

STOP_TIMEOUT = 1.0  # seconds for open connections to end by themselves


class StandIn:
    """A small GitHub under one folder. `start` returns when it listens; `stop` waits and leaves no process."""

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        public_url: str = "https://github.com",
        listener: socket.socket | None = None,
    ) -> None:
        """`listener`: a bound TCP socket to use instead of `host` and `port`; it is closed by `stop`."""
        self._listen = (host, port)
        self._listener = listener
        self._tls = tls
        self.site = Site(root, links=Links(public_url=public_url))
        self.traffic = Traffic()
        self._backend = Backend(self.site.git, self.site.repositories_root)
        self._front = Front(self.site, self.traffic, self._backend)
        self._runner: web.ServerRunner | None = None
        self.url = ""  # known after start

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v3"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What arrived, oldest first; the last 10,000."""
        return self.traffic.requests

    async def start(self) -> None:
        self.site.prepare()
        install_hook(self.site.git)
        self._server = web.Server(self._front.handle, handler_cancellation=True, auto_decompress=False, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=STOP_TIMEOUT)
        await self._runner.setup()
        await self._start_listening(self._runner)
        address = self._runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"{'https' if self._tls else 'http'}://{shown}:{address[1]}"
        self._front.lfs.base = self.site.downloads.base = self.url

    async def _start_listening(self, runner: web.ServerRunner) -> None:
        if self._listener is None:
            site: web.BaseSite = web.TCPSite(runner, *self._listen, ssl_context=self._tls)
        else:
            site = web.SockSite(runner, self._listener, ssl_context=self._tls)
        await site.start()

    async def go_down(self, outage: Outage) -> None:
        """GitHub is away until `come_back`. Requests that are under way are cut off, those at a gate too."""
        assert self._runner is not None
        self.traffic.outage = outage
        if outage is Outage.REFUSED:
            for site in list(self._runner.sites):
                await site.stop()
            address = urlsplit(self.url)
            self._listen = (address.hostname or "", address.port or 0)
        if outage is not Outage.UNAVAILABLE:
            for connection in self._server.connections:
                if connection.transport is not None:
                    connection.transport.abort()

    async def come_back(self) -> None:
        assert self._runner is not None
        self.traffic.outage = None
        if not self._runner.sites:
            await self._start_listening(self._runner)

    async def mend(self) -> None:
        """Ends what was planned to go wrong: outage, faults, gates, slowness."""
        for gate in self.traffic.gates:
            gate.open()
        self.traffic.gates.clear()
        self.traffic.faults.clear()
        self.traffic.pause = None
        self.traffic.reflects = False
        await self.come_back()

    async def stop(self) -> None:
        """May be called again."""
        runner, self._runner = self._runner, None
        for gate in self.traffic.gates:
            gate.open()
        if runner is not None:
            for site in list(runner.sites):
                await site.stop()
            await self._backend.stop()
            await runner.cleanup()
            await self._backend.stop()
            await self._front.finish_calls()

    def add_user(
        self,
        login: str,
        *,
        id: int | None = None,
        name: str | None = None,
        email: str | None = None,
        email_public: bool = False,
        blocks_private_email: bool = False,
    ) -> None:
        """`blocks_private_email`: pushes whose newest commit has the private address are refused (GH007)."""
        self.site.accounts.add(
            login,
            id=id,
            name=name,
            email=email,
            email_public=email_public,
            blocks_private_email=blocks_private_email,
        )

    def add_token(self, value: str, token: Token) -> None:
        self.site.accounts.add_token(value, token)

    def add_app(self, slug: str, *, public_key: bytes, owner: str = "octocat") -> App:
        """A GitHub App, known by its public key (PEM)."""
        return self.site.apps.add(slug, owner=owner, public_key=public_key)

    def install_app(
        self,
        app: App,
        account: str,
        *,
        repositories: Sequence[str] | None = None,
        permissions: Mapping[str, str] = ALL,
    ) -> Installation:
        """Installs it on an account, for all of its repositories or the listed ones (full names)."""
        return self.site.apps.install(app, account, permissions=permissions, repositories=repositories)

    def revoke_token(self, value: str) -> None:
        self.site.accounts.revoke_token(value)

    async def add_repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str | bytes] = README,
        default_branch: str = "main",
        private: bool = True,
        archived: bool = False,
        permissions: Mapping[str, str] | None = None,
        drafts: bool = True,
        protected: tuple[str, ...] = (),
    ) -> Repository:
        """A repository with one commit (with none when `files` is empty). An owner that nobody added as a user
        is an organization. `permissions`: login to pull, triage, push, maintain or admin."""
        self.site.prepare()
        return await self.site.add_repository(
            full_name,
            files=files,
            default_branch=default_branch,
            private=private,
            archived=archived,
            permissions=permissions or {},
            drafts=drafts,
            protected=protected,
        )

    def rename_repository(self, full_name: str, new_name: str) -> Repository:
        """Renames or transfers it; requests for the old name are redirected, as GitHub does. Raises KeyError."""
        repository = self.repository(full_name)
        self.site.rename_repository(repository, new_name)
        return repository

    def repository(self, full_name: str) -> Repository:
        """Raises KeyError."""
        found = self.site.find_repository(full_name)
        if found is None:
            raise KeyError(full_name)
        return found

    def reflect(self) -> None:
        """From now on a request with the User-Agent `reflect/<status>` is answered with what it holds."""
        self.traffic.reflects = True

    def fault(
        self,
        *,
        method: str = "*",
        path: str,
        status: int,
        times: int = 1,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        applied: bool = False,
    ) -> Fault:
        """Answers the next `times` requests whose path (as sent) matches the glob like this.

        `status` 0 cuts the connection. `applied`: the request is carried out first, only its answer is lost.
        """
        fault = Fault(
            method=method,
            path=path,
            status=status,
            times=times,
            body=body,
            headers=headers or {},
            applied=applied,
        )
        self.traffic.faults.append(fault)
        return fault

    def gate(self, *, method: str = "*", path: str, applied: bool = False) -> Gate:
        """Holds matching requests until the gate is opened; `await gate.reached.wait()` tells that one waits.

        `applied`: it holds the answer of a planned fault, after the request was carried out, if the fault says so.
        """
        gate = Gate(method=method, path=path, applied=applied)
        self.traffic.gates.append(gate)
        return gate

    def slow_down(self, pause: Callable[[], float] | None) -> None:
        """Every request waits as many seconds as `pause` says for it; None: at once again."""
        self.traffic.pause = pause
