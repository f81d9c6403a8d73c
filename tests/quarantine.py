"""`ports.Quarantine` in memory; tests/integration/storage/test_quarantine.py holds it to what the real one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ecpmon.isolation import LONGEST_PAUSE
from ecpmon.model.tenants import Tenant
from ecpmon.ports.quarantine import Culprit, Trouble


class FakeQuarantine:
    def __init__(self) -> None:
        # (job, tenant_id, subject)
        self.rows: dict[tuple[str, str, str], Trouble] = {}
        self.answers = True

    async def held(self, job: str) -> dict[Culprit, datetime]:
        return {(name, subject): t.next_at for (of, name, subject), t in self.rows.items() if of == job}

    async def note(self, job: str, troubles: Mapping[Culprit, str], now: datetime) -> None:
        for (name, subject), why in troubles.items():
            known = self.rows.get((job, name, subject)) or Trouble(job, subject, why, now, now, 0, now)
            pause = min(timedelta(seconds=15 * 2**known.tries), LONGEST_PAUSE)
            self.rows[job, name, subject] = replace(
                known,
                reason=why,
                first_at=min(known.first_at, now),
                last_at=now,
                tries=known.tries + 1,
                next_at=now + pause,
            )

    async def heal(self, job: str, culprits: Sequence[Culprit]) -> None:
        for name, subject in culprits:
            self.rows.pop((job, name, subject), None)

    async def of_tenant(self, tenant: Tenant) -> list[Trouble]:
        found = [t for (_, name, _), t in self.rows.items() if name == tenant.tenant_id]
        return sorted(found, key=lambda t: (t.first_at, t.job, t.subject))

    async def counts(self) -> dict[str, int]:
        pairs = {(job, name) for job, name, _ in self.rows}
        return {job: sum(of == job for of, _ in pairs) for job, _ in pairs}

    async def reachable(self) -> bool:
        return self.answers
