"""A tick evaluates everybody: here that is who the test itself made."""

from __future__ import annotations

import pytest

from ecpmon.storage.database import Database
from tests.integration.conftest import MakeTenant


@pytest.fixture
async def make_tenant(make_tenant: MakeTenant, database: Database) -> MakeTenant:
    """As everywhere, with the tenants of tests before it gone."""
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE deleted_at IS NULL")
    return make_tenant
