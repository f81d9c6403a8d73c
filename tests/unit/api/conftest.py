"""Fixtures of the API's unit tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from socket_world import NOW, World, api_of

from ecpmon.ports.samples import Latest


@pytest.fixture
async def world(aiohttp_client: Any) -> World:
    made = World()
    made.newest = {
        "cpu_usage": Latest(NOW - timedelta(seconds=3), "cpu", 40.0),
        "up": Latest(NOW - timedelta(seconds=1), "sla", 1.0),
        "queue_depth": Latest(NOW - timedelta(seconds=9), "custom", 3.0),
    }
    made.client = await aiohttp_client(api_of(made))
    return made
