"""TLS for the Kubernetes API: kubectl and Go's clients send tokens to nobody else."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LASTS: Final = timedelta(days=3650)
_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_ADDRESSES: Final[tuple[IPv4Address | IPv6Address, ...]] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


def context_of(folder: Path, host: str) -> ssl.SSLContext:
    """What to serve with: a certificate that signs itself, made once and kept in `folder`. OSError."""
    certificate, key = folder / "simulator.crt", folder / "simulator.key"
    if not (certificate.exists() and key.exists()):
        _make(certificate, key, host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _make(certificate: Path, key: Path, host: str) -> None:
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ecpmon simulator")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName(_alternatives(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _alternatives(host: str) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
    found += [x509.IPAddress(address) for address in _ADDRESSES]
    try:
        address = ip_address(host)
    except ValueError:
        return [*found, x509.DNSName(host)] if host.isascii() and host not in _NAMES else found
    return found if address in _ADDRESSES else [*found, x509.IPAddress(address)]
