from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_service import Service


@pytest.fixture
async def scripted() -> AsyncIterator[Service]:
    service = Service()
    async with service.stack:
        await service.start()
        yield service
