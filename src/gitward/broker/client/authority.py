"""The certificate authority of one run.

Its key signs one leaf, for GitHub's hosts as the sandbox sees them, and is forgotten before `issue` returns.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_CLOCK_SLACK = datetime.timedelta(days=1)  # the sandbox's clock is the host's; a jump must not break a run


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What a run's listeners show, and what the sandbox must trust. All PEM."""

    ca_pem: bytes
    leaf_pem: bytes
    key_pem: bytes = field(repr=False)


def issue(hosts: Iterable[str], *, expires_at: float) -> Certificates:
    """A new authority and a leaf for `hosts`, good from yesterday to a day after `expires_at` (epoch seconds)."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gitward run authority")])
    ca = (
        _template(ca_name, ca_name, ca_key.public_key(), ca_key, expires_at)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = tuple(dict.fromkeys(hosts))
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gitward broker")])
    leaf = (
        _template(leaf_name, ca_name, leaf_key.public_key(), ca_key, expires_at)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Certificates(
        ca_pem=ca.public_bytes(serialization.Encoding.PEM),
        leaf_pem=leaf.public_bytes(serialization.Encoding.PEM),
        key_pem=leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def certificates_of(ca_file: str) -> bytes:
    """The certificates of a PEM file, and nothing else that may stand there, such as a key."""
    return b"\n" + b"\n".join(_CERTIFICATE.findall(Path(ca_file).read_bytes())) + b"\n"


def _template(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    expires_at: float,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    end = max(now, datetime.datetime.fromtimestamp(expires_at, datetime.UTC))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(end + _CLOCK_SLACK)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
