"""Which webhook targets are allowed: guards against requests into our own network (SSRF).

Two checks: `check_target` when a rule is saved, for a clear answer early; and `AddressGuard` on the final
address of every connection, which is the one that protects (names resolve differently later).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from yarl import URL

from ecpmon.alerts.signing import (
    ID_HEADER,
    IDEMPOTENCY_HEADERS,
    STANDARD_SIGNATURE_HEADER,
    STANDARD_TIMESTAMP_HEADER,
)
from ecpmon.errors import ValidationFailed

MAX_URL_LENGTH: Final = 2048
MAX_HEADERS: Final = 20
MAX_HEADER_LENGTH: Final = 1024

# Never, whatever is allowed: cloud metadata services (AWS, Alibaba, Oracle, Azure's wire server, GCP).
_METADATA: Final = frozenset(
    map(ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
                     "168.63.129.16", "fd20:ce::254"))
)  # fmt: skip
# Addresses that carry an IPv4 address to a translator or relay which would reach it for us.
_TRANSLATED: Final = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "192.88.99.0/24", "2001::/32"))
)
_PRIVATE: Final = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
# Ports on which other protocols listen; an HTTP request line can be a command to some of them.
_OTHER_PROTOCOLS: Final = frozenset(
    {22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 636, 993, 995, 1433, 3306, 5432, 6379, 11211, 27017}
)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OUR_HEADERS: Final = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "te",
     "trailer", "upgrade", "expect", "keep-alive", "user-agent", "accept-encoding",
     ID_HEADER, STANDARD_TIMESTAMP_HEADER, STANDARD_SIGNATURE_HEADER}
    | {name.lower() for name in IDEMPOTENCY_HEADERS}
)  # fmt: skip
_OUR_PREFIXES: Final = ("x-ecp-", "proxy-")


class TargetRefused(ValidationFailed):
    """A webhook target or header that we do not send to; the message says why."""

    def __init__(self, message: str, field: str = "url") -> None:
        super().__init__(f"webhook {field}: {message}", fields=[{"field": field, "message": message}])


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """What the installation allows. Metadata, link-local and multicast are refused always."""

    allow_loopback: bool = False
    allow_private: bool = False

    def refusal(self, host: str) -> str | None:
        """Why the literal address `host` is refused, or None. Raises ValueError when it is no address."""
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        kind = self._refused_kind(address)
        return f"{kind} addresses are not allowed here" if kind else None

    def _refused_kind(self, address: IPv4Address | IPv6Address) -> str | None:
        if address in _METADATA:
            return "metadata service"
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            return "unspecified, multicast and link-local"
        if any(address in network for network in _TRANSLATED):
            return "translated (NAT64, 6to4, Teredo)"
        if address.is_loopback:
            return None if self.allow_loopback else "loopback"
        if any(address in network for network in _PRIVATE):
            return None if self.allow_private else "private"
        if not address.is_global or address.is_reserved or getattr(address, "is_site_local", False):
            return "reserved"
        return None


def check_target(url: str, guard: AddressGuard) -> str:
    """`url` when it may be saved as a webhook target; else raises TargetRefused.

    A name is not resolved here: it may resolve to something else when it matters.
    """
    if len(url) > MAX_URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        raise TargetRefused(f"a URL has at most {MAX_URL_LENGTH} characters, no spaces and no backslashes")
    try:
        parsed = URL(url)
        port = parsed.port
    except ValueError as error:
        raise TargetRefused(f"this is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise TargetRefused("a target is an absolute http or https URL")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise TargetRefused("credentials do not belong into the URL; use a header")
    if not port or port in _OTHER_PROTOCOLS:
        raise TargetRefused(f"port {port} is not a port for HTTP")
    _check_host(parsed.host, guard)
    return url


def _check_host(host: str, guard: AddressGuard) -> None:
    name = host.rstrip(".").lower()
    try:
        refusal = guard.refusal(name)
    except ValueError:
        local = name == "localhost" or name.endswith(".localhost")
        refusal = guard.refusal("127.0.0.1") if local else _name_problem(name)
    if refusal:
        raise TargetRefused(refusal)


def _name_problem(name: str) -> str | None:
    """`2130706433`, `0x7f.1` and `127.1` are addresses to a resolver: a real name ends in letters."""
    if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", name.rpartition(".")[2]):
        return "write an IPv4 address as four decimal numbers"
    try:
        ascii_name = name.encode("idna")
    except UnicodeError:
        return "this is not a host name"
    return None if len(ascii_name) <= 253 else "this host name is too long"


def check_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """A user's headers as pairs. Raises TargetRefused: framing headers and ours are not theirs to set."""
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    if len(pairs) > MAX_HEADERS:
        raise TargetRefused(f"at most {MAX_HEADERS} headers", "headers")
    for name, value in pairs:
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise TargetRefused(f"{name!r} is not a header name", "headers")
        if lower in _OUR_HEADERS or lower.startswith(_OUR_PREFIXES):
            raise TargetRefused(f"the header {name} is set by ecpmon", "headers")
        if len(value) > MAX_HEADER_LENGTH or not _HEADER_VALUE.fullmatch(value):
            raise TargetRefused(f"the value of {name} is too long or not printable ASCII", "headers")
    return pairs
