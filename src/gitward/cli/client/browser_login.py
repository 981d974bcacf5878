"""Signs a person in at the service's issuer in a browser on this machine: authorization code with PKCE, answered to a
port on loopback (RFC 8252, RFC 7636, RFC 9207)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from gitward.cli.client.account import checked_url
from gitward.cli.client.errors import ClientError
from gitward.cli.client.issuers import claims_of, discover, form, jwt_for
from gitward.cli.client.texts import plain
from gitward.errors import Exit

WAIT_SECONDS = 300.0  # for a person
PATH = "/callback"
_REQUEST_SECONDS = 5.0  # browsers open connections that they do not use
Answer = dict[str, str]


def sign_in(
    issuer: str,
    *,
    client_id: str,
    show: Callable[[str], None],
    seconds: float = WAIT_SECONDS,
    transport: httpx2.BaseTransport | None = None,
) -> str:
    """A JWT for `client_id`, once the person has agreed in a browser on this machine.

    :param show: is given the address to visit.
    :raises ClientError: the issuer refuses or does not answer, or nobody agreed in time.
    """
    url = checked_url(issuer)
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with httpx2.Client(timeout=30.0, follow_redirects=False, transport=transport) as http:
        endpoints = discover(http, url, ("authorization_endpoint", "token_endpoint"))
        with Loopback() as loopback:
            asked = {
                "response_type": "code",
                "client_id": client_id,
                "redirect_uri": loopback.address,
                "scope": "openid",
                "state": loopback.state,
                "nonce": nonce,
                "code_challenge": _challenge(verifier),
                "code_challenge_method": "S256",
            }
            page = endpoints["authorization_endpoint"]
            show(f"{page}{'&' if urlsplit(page).query else '?'}{urlencode(asked)}")
            code = _code(loopback.wait(seconds), url)
            answer = form(
                http,
                endpoints["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                redirect_uri=loopback.address,
                client_id=client_id,
                code_verifier=verifier,
            )
    if "error" in answer:
        raise _refused(answer, url)
    if "id_token" in answer and claims_of(str(answer["id_token"])).get("nonce") != nonce:
        raise ClientError(f"{url} answered another question than this one; try again", exit=Exit.FAILED)
    return jwt_for(client_id, answer, url)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _code(answer: Answer, issuer: str) -> str:
    """:raises ClientError: the issuer refused, or the answer is another issuer's."""
    if answer.get("iss", issuer).rstrip("/") != issuer:
        raise ClientError(f"the answer in the browser is not from {issuer}; try again", exit=Exit.FAILED)
    if "error" in answer or not answer.get("code"):
        raise _refused(answer, issuer)
    return answer["code"]


def _refused(answer: dict[str, str], issuer: str) -> ClientError:
    if answer.get("error") == "access_denied":
        return ClientError("the sign-in was refused in the browser", exit=Exit.FAILED)
    why = plain(str(answer.get("error_description") or answer.get("error") or "it sent no code"))
    return ClientError(f"{issuer} ended the sign-in: {why}", exit=Exit.FAILED)


class Loopback:
    """A port of this machine that takes one answer of the browser. A context manager."""

    def __init__(self) -> None:
        self.state = secrets.token_urlsafe(24)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        state, answers = self.state, self._answers

        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_SECONDS

            def do_GET(self) -> None:
                """Anything but the answer to our question changes nothing: any page of the browser may ask here."""
                parts = urlsplit(self.path)
                answer = dict(parse_qsl(parts.query))
                if parts.path != PATH:
                    return self._say(404, "There is nothing here.")
                if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
                    return self._say(400, "This is not the answer to the sign-in that waits here.")
                answers.put(answer)
                well = "error" not in answer
                return self._say(200, f"{'Signed in' if well else 'Not signed in'}. You can close this page.")

            def _say(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")  # the address has the code
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: a line would have the code in it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def __enter__(self) -> Loopback:
        threading.Thread(target=self._server.serve_forever, name="sign-in", args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> Answer:
        """:raises ClientError: none came in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise ClientError(
                "nobody agreed in a browser on this machine in time; run `gitward login` again, without --browser if "
                "the browser is on another machine",
                exit=Exit.FAILED,
            ) from None
