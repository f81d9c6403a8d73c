"""What strangers are told of status pages: read once for all of them together.

Invariants: a page that does not exist or is not public, and a link that is wrong or over, cost no question of their
own; of a tenant one reading is under way at a time and told for `status_page_seconds`, to however many ask; while the
database is away the last one is told on, as of its own time, for `STALE` seconds at most.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web

from ecpmon.api.common import worked_out_for
from ecpmon.api.context import ApiContext, Backend
from ecpmon.api.shared import SharedOrStale
from ecpmon.errors import Conflict, DatabaseUnavailable, LimitReached, ValidationFailed
from ecpmon.kept import Kept
from ecpmon.model.status_pages import PageFacts, Reading
from ecpmon.model.tenants import Language, Tenant
from ecpmon.ports.contracts import Contract
from ecpmon.ports.lanes import question
from ecpmon.sla.terms import effort_of

if TYPE_CHECKING:
    from ecpmon.statuspages.links import Claim

_log = structlog.get_logger(__name__)
STALE: Final = 900.0
# Pages that are held, and statements (each of some ten kilobytes).
MOST_PAGES: Final = 1_000
MOST_FILES: Final = 200
# Whose questions those of all strangers are: they keep nobody else waiting.
_STRANGERS: Final = "status pages"
# A contract that changes again and again meanwhile is read so often.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Page:
    """`reading` with what decides who may look at it; `made`: what was drawn of it, by kind and language."""

    backend: Backend
    tenant: Tenant
    facts: PageFacts
    reading: Reading
    made: dict[tuple[str, Language, str], Kept]

    def admits(self, claim: Claim | None) -> bool:
        """A link admits while it stands in the tenant's list as it was given out."""
        if claim is None:
            return self.facts.public
        given = self.facts.links.get(claim.number)
        return claim.tenant == self.tenant.key and given == claim.expires_at


class StatusPages:
    """One per process."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        seconds = context.settings.status_page_seconds
        self._pages: SharedOrStale[Page | None] = SharedOrStale(seconds, STALE, MOST_PAGES)
        self._public: SharedOrStale[frozenset[str]] = SharedOrStale(seconds, STALE, 2)
        self._keys: dict[bool, bytes] = {}
        self.files: OrderedDict[Hashable, Kept] = OrderedDict()

    async def find(self, address: str, default: Backend, now: datetime) -> Page | None:
        """The page at an address, for who may look at it. A name is that of the mode that was asked for; a link says
        itself of which database it is. Raises DatabaseUnavailable."""
        from ecpmon.statuspages import links

        if len(address) > links.MAX_LENGTH:
            return None
        if links.SEPARATOR not in address:
            page = await self._named(address, default)
            return page if page is not None and page.admits(None) else None
        for backend in self._backends(default):
            claim = links.opened(await self.key(backend), address, now)
            if claim is not None:
                page = await self._page(backend, claim.tenant_id)
                return page if page is not None and page.admits(claim) else None
        return None

    async def _named(self, tenant_id: str, backend: Backend) -> Page | None:
        names = await self._public.get(backend.demo, self._asking(backend.status_pages.public_names))
        return await self._page(backend, tenant_id) if tenant_id in names else None

    def _backends(self, default: Backend) -> list[Backend]:
        both = (self._context.production, self._context.demo)
        return [default, *(b for b in both if b is not None and b is not default)]

    async def key(self, backend: Backend) -> bytes:
        """What links of a database are signed with."""
        if backend.demo not in self._keys:
            from ecpmon.statuspages.links import signing_key

            configured = self._context.settings.webhook_secret.get_secret_value().encode()
            self._keys[backend.demo] = signing_key(configured, await backend.status_pages.secret())
        return self._keys[backend.demo]

    def forget(self, backend: Backend, tenant_id: str) -> None:
        """Somebody changed who may look: here it holds at once."""
        self._pages.drop((backend.demo, tenant_id))
        self._public.drop(backend.demo)

    async def _page(self, backend: Backend, tenant_id: str) -> Page | None:
        ask = self._asking(lambda: self._read(backend, tenant_id))
        return await self._pages.get((backend.demo, tenant_id), ask)

    def _asking(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], Coroutine[Any, Any, Any]]:
        async def asked() -> Any:
            with question(_STRANGERS):
                return await ask()

        return asked

    async def _read(self, backend: Backend, tenant_id: str) -> Page | None:
        """None: there is no live tenant of that name."""
        now = self._context.clock.now()
        try:
            return await self._tried(backend, tenant_id, now)
        except (Conflict, LimitReached, ValidationFailed) as error:
            # What somebody wrote by hand, or planned far too often: its own routes tell what is wrong.
            _log.warning("status_page_unreadable", tenant=tenant_id, error=error.message)
            return None

    async def _tried(self, backend: Backend, tenant_id: str, now: datetime) -> Page | None:
        contract = backend.contracts.held(tenant_id, None)
        for _ in range(_TRIES):
            contract = contract or await backend.contracts.read(tenant_id, None)
            if contract is None:
                return None
            if (page := await self._read_of(backend, contract, now)) is not None:
                return page
            contract = None
        raise DatabaseUnavailable("the contract of this tenant is being changed; try again shortly")

    async def _read_of(self, backend: Backend, contract: Contract, now: datetime) -> Page | None:
        """None: the contract was changed after it had been read."""
        from ecpmon.statuspages import reading

        tenant, planned = contract.tenant, contract.planned
        much = effort_of(tenant, planned) + reading.DAYS
        asked = await worked_out_for(backend, tenant, much, reading.asked, tenant, planned, now)
        found = await backend.contracts.facts(contract, asked.instants, asked.since, now, asked.earlier)
        if found.changed:
            return None
        whole = await backend.availability.reach(tenant, asked.since, now, now)
        spans = await backend.availability.troubles(
            tenant, whole.start, now, reading.MOST_CHANGES + 1, present=True
        )
        shown = backend.intervals.shown(tenant.evidence_source, tenant)
        facts = await backend.status_pages.facts(tenant, now, shown)
        made = await worked_out_for(
            backend, tenant, much + len(spans), reading.made,
            tenant, planned, asked.rest, found.marks, found.by_minute, spans, whole, facts, now,
        )  # fmt: skip
        return Page(backend, tenant, facts, made, {})


STATUS_PAGES: Final = web.AppKey("status_pages", StatusPages)
