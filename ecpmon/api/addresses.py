"""Where a caller is: who is connected to us, or whom a proxy of ours says that it answers for.

Invariants: what a header says is believed of a proxy that the settings name, and of nobody else; of a chain of
addresses the last counts that is no such proxy, since whoever stands before it could have written the rest.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, Protocol

from aiohttp import web

_FORWARDED: Final = "X-Forwarded-For"
# Of a chain that is longer only the end is looked at.
_MOST_HOPS: Final = 32
_REMEMBERED: Final = 4_096


class Asking(Protocol):
    """A request, as far as it is looked at to know who asks. `headers`: texts by name, with `getall`."""

    @property
    def headers(self) -> Any: ...

    @property
    def remote(self) -> str | None: ...


class Proxies:
    """Those that the settings name: networks, with commas between them. Raises ValueError."""

    def __init__(self, networks: str) -> None:
        self._networks = tuple(ip_network(part.strip()) for part in networks.split(",") if part.strip())
        self._client = lru_cache(_REMEMBERED)(self._found)

    def address_of(self, request: Asking) -> str | None:
        """The caller's; None: he is connected by no network."""
        remote = request.remote
        if not self._networks or not remote:
            return remote or None
        return self._client(remote, ",".join(request.headers.getall(_FORWARDED, ())))

    def _found(self, remote: str, forwarded: str) -> str:
        """Back along the chain, for as long as whoever told of a hop is a proxy of ours."""
        at, hops = remote, forwarded.split(",")[-_MOST_HOPS:]
        while (address := parsed(at)) is not None and any(address in n for n in self._networks):
            told = parsed(hops.pop()) if hops else None
            if told is None:
                break
            at = str(told)
        return at


def parsed(hop: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without port, brackets or zone; None: it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


PROXIES: Final = web.AppKey("proxies", Proxies)


def address_of(request: web.Request) -> str | None:
    """Where the caller is, for limits and for the audit log."""
    return request.app[PROXIES].address_of(request)
