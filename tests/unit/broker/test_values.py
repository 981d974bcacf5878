"""Config, certificates, headers, credentials, events: the small parts."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import threading
from pathlib import Path

import pytest

from gitward.broker.client.authority import certificates_of, issue
from gitward.broker.policy.answers import Form, Screen, decoded_answer
from gitward.broker.policy.headers import request_headers, response_headers, seen_from_inside
from gitward.broker.policy.verdict import deny
from gitward.broker.server.reporter import MAX_DENIED, Reporter
from gitward.broker.server.tls import server_context
from gitward.broker.wire.config import BrokerConfig, graphql_url
from gitward.broker.wire.credentials import presented
from gitward.broker.wire.upstream import api_authorization, git_authorization, is_one_of
from gitward.grants.channel import Message
from gitward.grants.endpoint import Address
from gitward.secrets import Secret

CONFIG = BrokerConfig(
    server_url="https://github.com",
    api_url="https://api.github.com",
    upstream_url="http://127.0.0.1:8080",
    upstream_api_url="http://127.0.0.1:8080/api/v3/",
)


def test_upstream_defaults_to_what_the_sandbox_sees() -> None:
    config = BrokerConfig(server_url="https://github.com", api_url="https://api.github.com")
    assert (config.upstream_url, config.upstream_api_url) == ("https://github.com", "https://api.github.com")
    assert config.addresses == (
        Address(host="github.com", port=443),
        Address(host="api.github.com", port=443),
    )
    assert BrokerConfig.of(config.to_message()) == config


def test_enterprise_has_one_address() -> None:
    config = BrokerConfig(server_url="https://ghe.example", api_url="https://ghe.example/api/v3")
    assert config.addresses == (Address(host="ghe.example", port=443),)
    assert config.upstream_graphql_url == "https://ghe.example/api/graphql"
    assert graphql_url("https://api.github.com") == "https://api.github.com/graphql"


@pytest.mark.parametrize(
    "url", ["http://github.com", "github.com", "https://", "https://user:x@github.com", "https://github.com?x=1"]
)
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="server_url must"):
        BrokerConfig(server_url=url, api_url="https://api.github.com")


def test_the_leaf_is_trusted_for_its_hosts_by_its_own_authority_only() -> None:
    certificates = issue(["github.com", "api.github.com"], expires_at=2e9)
    other = issue(["github.com"], expires_at=2e9)
    tls = server_context(certificates.leaf_pem.decode(), certificates.key_pem.decode())
    assert handshake(tls, certificates.ca_pem, "api.github.com") == "http/1.1"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, certificates.ca_pem, "evil.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, other.ca_pem, "github.com")


def test_a_key_is_not_printed() -> None:
    assert "PRIVATE" not in repr(issue(["github.com"], expires_at=2e9))


def handshake(tls: ssl.SSLContext, ca_pem: bytes, host: str) -> str | None:
    """The protocol agreed on."""
    client = ssl.create_default_context(cadata=ca_pem.decode())
    client.set_alpn_protocols(["h2", "http/1.1"])
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # The client's side of a refused handshake is what the test looks at.
        with theirs, contextlib.suppress(ssl.SSLError, OSError):
            tls.wrap_socket(theirs, server_side=True).close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname=host) as connection:
            return connection.selected_alpn_protocol()
    finally:
        server.join(10)


def test_only_known_headers_go_upstream() -> None:
    sent = [
        ("Host", "github.com"),
        ("Authorization", "token x"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Connection", "keep-alive"),
        ("Git-Protocol", "version=2"),
        ("Accept", "*/*"),
    ]
    assert request_headers(sent) == {"Git-Protocol": "version=2"}


def test_scopes_and_cookies_stay_outside() -> None:
    received = {"X-OAuth-Scopes": "repo", "Set-Cookie": "a=b", "Transfer-Encoding": "chunked", "ETag": '"1"'}
    assert response_headers(received.items(), CONFIG) == [("ETag", '"1"')]


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://127.0.0.1:8080/octo/new.git", "https://github.com/octo/new.git"),
        ("http://127.0.0.1:8080/api/v3/user", "https://api.github.com/user"),
        ("https://github.com/octo/new", "https://github.com/octo/new"),
        ("https://github.com.evil.example/", None),
        ("https://objects.githubusercontent.com/x?signature=y", None),
        ("/relative", None),
        ("", None),
    ],
)
def test_a_redirect_leads_to_the_broker_or_nowhere(url: str, inside: str | None) -> None:
    assert seen_from_inside(url, CONFIG) == inside


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("token abc", b"abc"),
        ("Token abc", b"abc"),
        ("Bearer abc", b"abc"),
        ("Basic " + base64.b64encode(b"dev:abc").decode(), b"abc"),
        ("Basic " + base64.b64encode(b"x:a:b").decode(), b"a:b"),
        ("Basic !!!", b""),
        ("Digest abc", b""),
        ("", b""),
    ],
)
def test_the_presented_credential(header: str | None, expected: bytes | None) -> None:
    assert presented(header) == expected


def test_authorization() -> None:
    token = Secret("ghp_abc")
    assert api_authorization(token) == "Bearer ghp_abc"
    assert base64.b64decode(git_authorization(token).removeprefix("Basic ")) == b"x-access-token:ghp_abc"
    assert is_one_of(b"ghp_abc", [Secret("other"), token])
    assert not is_one_of(b"", [token])
    assert not is_one_of(b"ghp_ab", [token])
    assert not is_one_of(b"ghp_abc", [])


async def test_refusals_are_masked_and_bounded() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    reporter = Reporter("run-1", send)
    reporter.mask([Secret("a-secret-of-some-length")])
    for _ in range(MAX_DENIED + 7):
        await reporter.denied(deny("rule", "no"), "GET /a-secret-of-some-length/\x1b[31m" + "x" * 1000)
    assert len(sent) == MAX_DENIED
    text = sent[0]["event"]["data"]["message"]
    assert text.startswith("GET /***/?[31mxxx")
    assert len(text) == 500
    await reporter.finish()
    assert sent[-1]["event"]["data"] == {"rule": "more", "message": "7 more requests were refused"}


def test_an_echoed_token_is_masked() -> None:
    token = Secret("ghp_0123456789abcdefghijABCDEFGHIJ012345")
    screen = Screen([token])
    echoed = json.dumps({"headers": {"authorization": git_authorization(token), "x": api_authorization(token)}})
    assert json.loads(screen.body(echoed.encode(), Form(content_type="application/json"))) == {
        "headers": {"authorization": "Basic ***==", "x": "Bearer ***"}
    }
    assert screen.headers([("X-Echo", api_authorization(token)), ("ETag", "1")]) == [("ETag", "1")]


def test_compressed_answers_are_read() -> None:
    assert decoded_answer(gzip.compress(b"x" * 100), "gzip") == b"x" * 100
    assert decoded_answer(b"x", "identity") == b"x"
    for data, encoding in (
        (b"x", "br"),
        (b"x", "gzip"),
        (gzip.compress(b"x")[:-1], "gzip"),
        (gzip.compress(b"x") * 2, "gzip"),
    ):
        with pytest.raises(ValueError, match=r"Encoding|gzip"):
            decoded_answer(data, encoding)


def test_of_a_pem_file_only_the_certificates_are_given_away(tmp_path: Path) -> None:
    """SSL_CERT_FILE may name a file with more in it, and a sandbox gets these roots."""
    certificates = issue(["a.test"], expires_at=2e9)
    file = tmp_path / "all.pem"
    file.write_bytes(b"# a note\n" + certificates.key_pem + certificates.ca_pem + b"text\n" + certificates.leaf_pem)
    given = certificates_of(str(file))
    assert given.count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" not in given
    assert b"note" not in given
    ssl.create_default_context(cadata=given.decode())
