"""A git server over TLS that costs little: threads, large reads, real `git upload-pack` and `receive-pack`.

`python -m benchmarks.upstream REPOSITORIES CHAIN TOKEN` prints its port. What is in front of it is what gets measured.
"""

from __future__ import annotations

import base64
import gzip
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gitward.settings.environment import clean_environment

_PIECE = 256 * 1024
_ROUTE = re.compile(r"/([\w-]+/[\w-]+)\.git/(?:info/refs\?service=)?(git-(?:upload|receive)-pack)")


class Handler(BaseHTTPRequestHandler):
    """git's smart HTTP protocol for one token."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    repositories: Path
    authorization: str

    def do_GET(self) -> None:
        if self.path == "/api/v3/rate_limit":
            self._begin("application/json", ("Content-Length", "2"))
            self.wfile.write(b"{}")
            return
        if (found := self._found()) is None:
            return
        repository, service = found
        git = self._git(service, repository, "--advertise-refs")
        listed = subprocess.run(git, env=self._environment(), check=True, capture_output=True, timeout=60).stdout
        announced = f"# service={service}\n"
        head = f"{len(announced) + 4:04x}{announced}0000".encode() if "Git-Protocol" not in self.headers else b""
        self._begin(f"application/x-{service}-advertisement", ("Content-Length", str(len(head + listed))))
        self.wfile.write(head + listed)

    def do_POST(self) -> None:
        if (found := self._found()) is None:
            return
        repository, service = found
        git = self._git(service, repository)
        with subprocess.Popen(git, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for piece in self._body():
                process.stdin.write(piece)
            process.stdin.close()
            self._begin(f"application/x-{service}-result", ("Transfer-Encoding", "chunked"))
            while piece := os.read(process.stdout.fileno(), _PIECE):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        if process.returncode != 0:
            print(f"upstream: {git} ended with {process.returncode}", file=sys.stderr)

    def _found(self) -> tuple[Path, str] | None:
        """Repository and service; None when the request has been refused."""
        found = _ROUTE.fullmatch(self.path)
        if found is not None and self.headers.get("Authorization") == self.authorization:
            return self.repositories / f"{found[1]}.git", found[2]
        for _ in self._body():
            pass
        self.send_response(401 if found is not None else 404)
        self.send_header("WWW-Authenticate", 'Basic realm="benchmark"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _git(self, service: str, repository: Path, *options: str) -> list[str]:
        return ["git", service.removeprefix("git-"), "--stateless-rpc", *options, "--", str(repository)]

    def _environment(self) -> dict[str, str]:
        return clean_environment(GIT_PROTOCOL=self.headers.get("Git-Protocol", ""))

    def _begin(self, content_type: str, framing: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header(*framing)
        self.end_headers()

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Content-Encoding") == "gzip":
            yield gzip.decompress(b"".join(self._plain()))
        else:
            yield from self._plain()

    def _plain(self) -> Iterator[bytes]:
        if "Transfer-Encoding" not in self.headers:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""


def main(repositories: str, chain: str, token: str) -> None:
    Handler.repositories = Path(repositories)
    Handler.authorization = "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
