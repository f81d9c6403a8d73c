"""The fake keeps the contract, so tests on it mean something."""

from __future__ import annotations

from datetime import datetime

import pytest
from alert_samples import notification
from fake_outbox import FakeOutbox
from outbox_contract import OutboxContract, Put

from ecpmon.model.alerts import Action


class TestFakeOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> FakeOutbox:
        return FakeOutbox()

    @pytest.fixture
    def put(self, outbox: FakeOutbox) -> Put:
        async def put(tenant_id: str, rule: int, action: Action, created_at: datetime) -> None:
            outbox.add(
                notification(
                    len(outbox.entries) + 1,
                    action,
                    tenant_key=int(tenant_id.encode().hex(), 16),
                    tenant_id=tenant_id,
                    rule_id=f"{tenant_id}-{rule}",
                    created_at=created_at,
                )
            )

        return put
