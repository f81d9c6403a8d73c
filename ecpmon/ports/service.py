"""The clock, callers and their tokens, health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The only way to learn the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `tenants` None means every tenant."""

    name: str
    roles: frozenset[str]
    tenants: frozenset[str] | None

    def may_see(self, tenant_id: str) -> bool:
        return self.tenants is None or tenant_id in self.tenants


class TokenStore(Protocol):
    async def find(self, token: str, now: datetime) -> Caller | None:
        """The caller of a bearer token, None when unknown, expired or revoked. Tokens are stored hashed."""
        ...

    async def create(
        self, name: str, roles: Sequence[str], tenants: Sequence[str], now: datetime, expires: datetime | None
    ) -> str:
        """A new token, shown once."""
        ...


class Health(Protocol):
    async def ready(self) -> dict[str, Any]:
        """Component -> state for `/ready`; `ok` is False while any of them is not."""
        ...
