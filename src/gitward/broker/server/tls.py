"""TLS contexts: for a run's listeners, and for the upstream side."""

from __future__ import annotations

import os
import ssl


def server_context(leaf_pem: str, key_pem: str) -> ssl.SSLContext:
    """OpenSSL's Python binding wants the key in a file: it gets one in memory that has no name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with os.fdopen(os.memfd_create("leaf"), "wb") as file:
        file.write(f"{key_pem}\n{leaf_pem}".encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def upstream_context(ca_file: str | None) -> ssl.SSLContext:
    """`ca_file` replaces the system's roots, as SSL_CERT_FILE does for other tools."""
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
