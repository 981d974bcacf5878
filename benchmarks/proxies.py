"""Other proxies that could put a token into git's requests, set up as their manuals say for large bodies."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.transfers import Way
from local_servers import free_port, running

TOOLS = Path(__file__).parents[1] / ".tools" / "bench"
NGINX = Path(__file__).parents[1] / ".tools" / "web-servers" / "nginx" / "usr" / "sbin" / "nginx"

_NGINX = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.log; user root;
events {{ worker_connections 100; }}
http {{
  upstream github {{ server {server}; keepalive 8; }}
  access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; server_name localhost; ssl_certificate {chain}; ssl_certificate_key {chain};
    client_max_body_size 0;
    location / {{
      proxy_pass https://github; proxy_set_header Host $http_host; proxy_http_version 1.1;
      proxy_buffering off; proxy_request_buffering off;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost;
      proxy_set_header Authorization "{authorization}"; proxy_set_header Connection "";
    }}
  }}
}}
"""


def authorization(token: str) -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


@contextlib.asynccontextmanager
async def mitmproxy(root: Path, upstream: str, ca: Path, token: str) -> AsyncIterator[Way]:
    """In reverse mode, streaming from the first megabyte on."""
    home, port = root / "mitmproxy", free_port()
    options = {
        "confdir": str(home),
        "ssl_verify_upstream_trusted_ca": str(ca),
        "stream_large_bodies": "1m",
        "http2": "false",
        "modify_headers": f"/~q/Authorization/{authorization(token)}",
    }
    set_options = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    mode = ("--quiet", "--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "--listen-port", str(port))
    argv = (str(TOOLS / "bin" / "mitmdump"), *mode, *set_options)
    async with running(*argv, port=port, log=root / "mitmproxy.log") as pid:
        url = f"https://localhost:{port}"
        yield Way(name="mitmproxy", url=url, ca=home / "mitmproxy-ca-cert.pem", credential="x", pid=pid)


@contextlib.asynccontextmanager
async def nginx(
    root: Path, upstream: str, chain: Path, ca: Path, token: str, *, name: str = "nginx"
) -> AsyncIterator[Way]:
    """One worker, without buffers on disk, with upstream connections that stay: as little as a proxy in C needs."""
    home, port = root / name, free_port()
    home.mkdir()
    values = {"root": home, "port": port, "chain": chain, "ca": ca, "server": urlsplit(upstream).netloc}
    (home / "nginx.conf").write_text(_NGINX.format(**values, authorization=authorization(token)))
    argv = (str(NGINX), "-c", str(home / "nginx.conf"), "-e", str(home / "nginx.log"))
    async with running(*argv, port=port, log=root / f"{name}.log") as pid:
        yield Way(name=name, url=f"https://localhost:{port}", ca=ca, credential="x", pid=pid)
