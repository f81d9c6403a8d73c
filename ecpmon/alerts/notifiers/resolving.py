"""Looking up the names of webhook targets: in threads of their own, a few per tenant, only to permitted addresses.

A look-up that hangs (the name's servers are its owner's) holds a thread that cannot be stopped. So look-ups share no
threads with the rest of the process, and a tenant's wait for that tenant's.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from ecpmon.alerts.targets import AddressGuard

THREADS: Final = 32
PER_TENANT: Final = 2
# (name, port, family) -> what socket.getaddrinfo gives
Lookup = Callable[[str, int, int], list[Any]]


class NoPermittedAddress(OSError):
    """The name has addresses, and webhooks may be sent to none of them."""


def _system_lookup(host: str, port: int, family: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


class Lookups:
    """Threads that look names up. A tenant's place is free again when its thread is, not when nobody waits any more."""

    def __init__(
        self, lookup: Lookup = _system_lookup, threads: int = THREADS, per_tenant: int = PER_TENANT
    ) -> None:
        self._lookup = lookup
        self._pool = ThreadPoolExecutor(threads, "webhook-lookup")
        self._per_tenant = per_tenant
        self._places: dict[int, asyncio.Semaphore] = {}

    async def find(self, tenant_key: int, host: str, port: int, family: int) -> list[Any]:
        """What `socket.getaddrinfo` gives. Raises OSError."""
        places = self._places.setdefault(tenant_key, asyncio.Semaphore(self._per_tenant))
        await places.acquire()
        found = asyncio.get_running_loop().run_in_executor(self._pool, self._lookup, host, port, family)

        def done(future: asyncio.Future[list[Any]]) -> None:
            places.release()
            future.exception()  # looked at, though whoever asked has gone away

        found.add_done_callback(done)
        return await asyncio.shield(found)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """A tenant's look-ups: a name that leads to refused addresses only fails as one that leads nowhere."""

    def __init__(self, lookups: Lookups, guard: AddressGuard, tenant_key: int) -> None:
        self._lookups = lookups
        self._guard = guard
        self._tenant_key = tenant_key

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        infos = await self._lookups.find(self._tenant_key, host, port, family)
        # A link-local address, which has a scope, is refused always: numbers without it are enough.
        permitted = [i for i in infos if self._guard.refusal(i[4][0]) is None]
        if not permitted:
            refused = ", ".join(str(i[4][0]) for i in infos)
            raise NoPermittedAddress(errno.EADDRNOTAVAIL, f"not permitted: {refused}")
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in permitted
        ]

    async def close(self) -> None:
        """Nothing is its own."""
