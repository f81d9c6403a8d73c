"""The keys that sign a tenant's webhooks: which sign now, giving one out, replacing it with an overlap."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from ecpmon.alerts.signing import KEY_BYTES, derived_key, key_id, root_key, secret_text
from ecpmon.errors import Conflict
from ecpmon.model.tenants import Tenant
from ecpmon.ports.webhook_keys import StoredKey, WebhookKeyStore

# Sign at most at once, so that the headers of a delivery stay small.
MAX_KEYS: Final = 3
_log: Final = structlog.get_logger(__name__)
LONGEST_OVERLAP: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class KeyMetadata:
    """What may be told of a key. `shown_at` None: it signs, and nobody was given it yet."""

    key_id: str
    generation: int
    shown_at: datetime | None
    shown_to: str | None
    signs_until: datetime | None


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A key that is shown this once. `overlap_until`: an older one signs beside it until then."""

    secret: str
    key_id: str
    generation: int
    overlap_until: datetime | None


class WebhookKeys:
    """Keys are derived and never stored: from what is configured, what the database keeps, and a salt per key."""

    def __init__(self, store: WebhookKeyStore, configured: bytes) -> None:
        """`configured` is ECPMON_WEBHOOK_SECRET, empty or at least 16 bytes."""
        self._store = store
        self._configured = configured
        self._root: bytes | None = None

    async def signing(self, tenant_key: int, now: datetime) -> list[bytes]:
        """The keys that sign at `now`, the newest first. Raises DatabaseUnavailable."""
        salts = [k.salt for k in await self._store.of_tenant(tenant_key) if _signs(k, now)]
        return [await self._derived(tenant_key, salt) for salt in salts or [b""]]

    async def describe(self, tenant: Tenant, now: datetime) -> list[KeyMetadata]:
        """The keys that sign at `now`, the newest first."""
        stored = [k for k in await self._store.of_tenant(tenant.key) if _signs(k, now)]
        if not stored:
            first = await self._derived(tenant.key, b"")
            return [KeyMetadata(key_id(first), 0, None, None, None)]
        return [
            KeyMetadata(
                key_id(await self._derived(tenant.key, k.salt)),
                k.generation,
                k.shown_at,
                k.shown_to,
                k.signs_until,
            )
            for k in stored
        ]

    async def give(self, tenant: Tenant, caller: str, now: datetime, overlap: timedelta) -> GivenKey:
        """The first time the key that has signed all along, later a new one beside which the old signs for `overlap`.

        Raises Conflict when too many keys sign already, TenantNotFound.
        """
        generation, salt = 0, b""
        if not await self._store.show_first(tenant, caller, now):
            salt = secrets.token_bytes(KEY_BYTES)
            generation = await self._rotate(tenant, caller, now, now + overlap, salt)
        _log.info("webhook_key_given", tenant=tenant.tenant_id, generation=generation, caller=caller)
        key = await self._derived(tenant.key, salt)
        stored = [k for k in await self._store.of_tenant(tenant.key) if _signs(k, now)]
        ends = [k.signs_until for k in stored if k.generation < generation and k.signs_until is not None]
        return GivenKey(secret_text(key), key_id(key), generation, max(ends, default=None))

    async def _rotate(self, tenant: Tenant, caller: str, now: datetime, until: datetime, salt: bytes) -> int:
        made = await self._store.rotate(tenant, caller, now, salt=salt, until=until, at_most=MAX_KEYS)
        if made is None:
            raise Conflict(
                f"{MAX_KEYS} keys sign already; wait until one of them ends (GET says when), or give"
                ' {"overlap_seconds": 0}, which ends all older ones at once'
            )
        return made

    async def _derived(self, tenant_key: int, salt: bytes) -> bytes:
        if self._root is None:
            self._root = root_key(self._configured, await self._store.installation_secret())
        return derived_key(self._root, tenant_key, salt)


def _signs(key: StoredKey, now: datetime) -> bool:
    return key.signs_until is None or key.signs_until > now
