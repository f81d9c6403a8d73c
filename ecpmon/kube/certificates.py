"""CertificateSigningRequests: whether somebody could sign them at all."""

from __future__ import annotations

import base64
from typing import Final

from ecpmon.kube.causes import Causes, Document, duplicate, invalid, required, unsupported
from ecpmon.kube.domains import signer_causes

_USAGES: Final = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_LEGACY: Final = "kubernetes.io/legacy-unknown"
_SHORTEST: Final = 600
_LARGE: Final = 4_096  # bytes; one of an RSA key of 4,096 bits has 1,700


def signing_request_causes(document: Document, old: Document | None) -> Causes:
    spec = document.get("spec") or {}
    usages, signer = spec.get("usages") or (), spec.get("signerName", "")
    why = _unreadable(spec.get("request", ""))
    if why:
        yield invalid("spec.request", spec.get("request", ""), why)
    if not usages:
        yield required("spec.usages")
    seen: set[str] = set()
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            yield unsupported(f"spec.usages[{index}]", usage, _USAGES)
        if usage in seen:
            yield duplicate(f"spec.usages[{index}]", usage)
        seen.add(usage)
    if signer == _LEGACY and old is None:
        yield invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        yield from signer_causes(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds", _SHORTEST)
    if seconds < _SHORTEST:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, detail)


def _unreadable(request: str) -> str:
    """Why it is no signed request of a certificate; "" if it is one. Signatures of large keys are not checked."""
    from cryptography import x509  # takes 30 ms, and few manifests hold one
    from cryptography.exceptions import UnsupportedAlgorithm

    pem = base64.b64decode(request.replace("\r", "").replace("\n", ""))
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        found = x509.load_pem_x509_csr(pem)
        genuine = len(pem) > _LARGE or found.is_signature_valid
    except UnsupportedAlgorithm:
        genuine = True
    except (ValueError, TypeError) as error:
        return f"asn1: {error}"[:200]
    return "" if genuine else "x509: the signature does not fit"
