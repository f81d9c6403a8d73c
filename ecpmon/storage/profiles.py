"""`ports.ProfileStore` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from ecpmon.model.tenants import Tenant
from ecpmon.ports.profiles import Chosen, Selection
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

_log = structlog.get_logger(__name__)


class PgProfileStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("evidence_profiles")

    async def chosen(self) -> Sequence[Chosen]:
        rows = await self._database.fetch(self._sql["chosen"])
        return [
            Chosen(r["tenant_id"], r["valid_from"], r["valid_to"], _selection(r["selection"], r["tenant_id"]))
            for r in rows
        ]

    async def of_tenant(self, tenant: Tenant) -> list[Chosen]:
        rows = await self._database.fetch(self._sql["of_tenant"], tenant.key)
        name = tenant.tenant_id
        return [Chosen(name, r["valid_from"], r["valid_to"], _selection(r["selection"], name)) for r in rows]

    async def choose(self, tenant: Tenant, selection: Selection | None, now: datetime) -> None:
        chosen = None if selection is None else selection.document()
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["choose"], tenant.key, now, chosen)
                await record(
                    connection,
                    now,
                    "evidence_profile.chosen",
                    tenant.tenant_id,
                    tenant=tenant.key,
                    after=chosen,
                )


def _selection(document: Any, tenant_id: str) -> Selection | None:
    """What is stored by hand and is no selection counts as none."""
    try:
        return None if document is None else Selection.model_validate(document)
    except ValidationError:
        _log.error("row_unreadable", what="evidence profile", tenant=tenant_id)
        return None
