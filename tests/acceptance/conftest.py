from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.acceptance.world import World


@pytest.fixture
async def world(
    make_migrated: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> AsyncIterator[World]:
    async with World(make_migrated(), tmp_path, free_port) as world:
        yield world


@pytest.fixture
def world_of(
    make_migrated: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> Callable[..., World]:
    """A world whose service has settings of its own."""
    return lambda **settings: World(make_migrated(), tmp_path, free_port, **settings)
