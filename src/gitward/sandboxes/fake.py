"""An endpoint without a broker, for tests of engines and for users of the library who write their own.

It answers every request itself, over TLS with a certificate of a CA of its own, and remembers what was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import socket
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gitward.grants.endpoint import Address

Respond = Callable[[bytes], bytes]  # from a request's head to the body of the answer
_HEAD_SECONDS = 10.0


def echo(head: bytes) -> bytes:
    """The request's own head."""
    return head


class FakeEndpoint:
    """An `Endpoint` whose other side is this process. Close it at the end."""

    def __init__(
        self,
        *,
        hosts: Sequence[str] = ("github.com", "api.github.com"),
        port: int = 443,
        proxy_port: int | None = None,
        respond: Respond = echo,
        content_type: str = "text/plain",
    ) -> None:
        self.addresses = tuple(Address(host=host, port=port) for host in hosts)
        self.proxy_port = proxy_port
        self.requests: list[bytes] = []  # heads, in the order in which they came
        self._respond = respond
        self._content_type = content_type
        self.ca_pem, self._tls = _authority(hosts)
        self._servers: dict[str, list[asyncio.Server]] = {}
        self._names = itertools.count(1)

    @property
    def attached(self) -> tuple[str, ...]:
        """The names of what is attached now."""
        return tuple(self._servers)

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        name = f"fake-{next(self._names)}"
        self._servers[name] = [
            await asyncio.start_server(self._answer, sock=listener.dup(), ssl=self._tls) for listener in listeners
        ]
        return name

    async def detach(self, name: str) -> None:
        for server in self._servers.pop(name, []):
            server.close()
            await server.wait_closed()

    async def close(self) -> None:
        """Detaches everything."""
        for name in self.attached:
            await self.detach(name)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, then the connection is closed."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                body = self._respond(head)
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Type: {self._content_type}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(body)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _authority(hosts: Sequence[str]) -> tuple[bytes, ssl.SSLContext]:
    """A new CA's certificate (PEM), and a server context with a certificate of it for the hosts."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitward fake endpoint")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), now).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    leaf = _certificate(leaf_name, ca_name, key.public_key(), now).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
    )
    ca_pem = ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    leaf_pem = leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # ssl loads a key from a file only
        pem = Path(folder) / "endpoint.pem"
        pem.write_bytes(key_pem + leaf_pem)
        context.load_cert_chain(pem)
    return ca_pem, context


# Like the broker's own (`broker.client.authority`), which no sandbox knows: of the fake only its form counts.
def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
