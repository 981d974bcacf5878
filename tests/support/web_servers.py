"""Debian's nginx and Caddy before a service, by the files of deploy/: only ports, certificates and folders differ."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from company import Company
from local_servers import free_port, running

NAME = "gitward.example.com"  # as the files say
URL = f"https://{NAME}"
ROOT = Path(__file__).parents[2]
NGINX_FILE, CADDY_FILE = ROOT / "deploy" / "nginx.conf", ROOT / "deploy" / "Caddyfile"
_PROGRAMS = ROOT / ".tools" / "web-servers"
_START_SECONDS = 60.0
_AROUND_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 100; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/gitward.conf;
}}
"""
_AROUND_CADDY = """
{{
  admin off
  storage file_system {folder}
  http_port {plain_port}
  https_port {port}
}}
"""


@dataclass(frozen=True, kw_only=True)
class WebServer:
    """One that listens on this machine, under the name of the files."""

    port: int
    plain_port: int
    tls: ssl.SSLContext

    def client(self, **headers: str) -> httpx2.AsyncClient:
        """Of somebody for whom the name leads here."""
        transport = _Here(self.port, verify=self.tls)
        return httpx2.AsyncClient(transport=transport, base_url=URL, headers=headers, timeout=120)

    def agreed_protocol(self) -> str | None:
        """What it speaks with a browser. Blocks."""
        self.tls.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=_START_SECONDS) as plain,
            self.tls.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            return secure.selected_alpn_protocol()


class _Here(httpx2.AsyncHTTPTransport):
    def __init__(self, port: int, *, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify)
        self._port = port

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        here = httpx2.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": NAME},
        )
        return await super().handle_async_request(here)


@contextlib.asynccontextmanager
async def web_server(kind: str, folder: Path, service_url: str) -> AsyncIterator[WebServer]:
    """:param kind: nginx or caddy"""
    company = Company(folder)
    company.context(NAME)
    port, plain_port = free_port(), free_port()
    write = _write_nginx if kind == "nginx" else _write_caddy
    argv = write(folder, service_url.removeprefix("http://"), port, plain_port)
    async with running(*argv, port=port, log=folder / "server.log", HOME=str(folder)):
        tls = ssl.create_default_context(cafile=company.ca_file)
        yield WebServer(port=port, plain_port=plain_port, tls=tls)


def _write_nginx(folder: Path, service: str, port: int, plain_port: int) -> Sequence[str]:
    pem = str(folder / f"{NAME}.pem")
    changes = {
        "127.0.0.1:8000": service,
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "/etc/ssl/gitward/fullchain.pem": pem,
        "/etc/ssl/gitward/key.pem": pem,
    }
    (folder / "gitward.conf").write_text(_changed(NGINX_FILE.read_text(), changes))
    (folder / "nginx.conf").write_text(_AROUND_NGINX.format(folder=folder))
    program = str(_PROGRAMS / "nginx" / "usr" / "sbin" / "nginx")
    return (program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log"))


def _write_caddy(folder: Path, service: str, port: int, plain_port: int) -> Sequence[str]:
    pem = folder / f"{NAME}.pem"
    site = f"\n{NAME} {{\n"
    text = _changed(CADDY_FILE.read_text(), {site: f"{site}\ttls {pem} {pem}\n", "127.0.0.1:8000": service})
    (folder / "Caddyfile").write_text(_AROUND_CADDY.format(folder=folder, port=port, plain_port=plain_port) + text)
    program = str(_PROGRAMS / "caddy" / "usr" / "bin" / "caddy")
    return (program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the file of deploy/ has no {old!r} any more"
        text = text.replace(old, new)
    return text
