"""What holds for whoever computes: processes, and the threads that stand for them in tests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ecpmon.compute import Hands
from ecpmon.compute.parcels import Failed, Sealed
from ecpmon.compute.processes import Nursery, Processes
from ecpmon.compute.threads import Threads
from ecpmon.errors import (
    DatabaseNotWritable,
    EcpError,
    LimitReached,
    TenantNotFound,
    ValidationFailed,
)
from tests.unit.compute import calls
from tests.waiting import PATIENCE


@pytest.fixture(params=["processes", "threads"])
async def hands(request: pytest.FixtureRequest) -> AsyncIterator[Hands]:
    made: Hands = Threads(2, as_processes=True)
    if request.param == "processes":
        made = Processes(Nursery(lambda: None, (sys.executable,)), 2)
    yield made
    await made.close()


async def test_what_is_handed_over_comes_back_as_it_was(hands: Hands) -> None:
    large = bytes(range(256)) * 8_000
    args, kwargs = await hands.work(calls.echo, (1, "ä", large), {"of": [2.5, None]}, PATIENCE)
    assert (args, kwargs) == ((1, "ä", large), {"of": [2.5, None]})
    assert await hands.work(calls.echo, (), {}, PATIENCE) == ((), {})


@pytest.mark.parametrize(
    ("function", "kind", "details"),
    [
        (calls.refuse, ValidationFailed, {"fields": [{"field": "a.b", "message": "is not so"}]}),
        (calls.miss, TenantNotFound, {"tenant_id": "who"}),
        (calls.reach, LimitReached, {"limit": "of_something", "most": 3}),
        (calls.not_written, DatabaseNotWritable, {"reason": "disk_full"}),
    ],
)
async def test_an_error_of_ours_is_raised_with_all_that_it_says(
    hands: Hands, function: Callable[[], None], kind: type[EcpError], details: dict[str, Any]
) -> None:
    with pytest.raises(kind) as raised:
        await hands.work(function, (), {}, PATIENCE)
    assert raised.value.details == details
    assert raised.value.message == str(raised.value)


async def test_other_errors_are_raised_too_and_what_cannot_be_handed_over_is_told(hands: Hands) -> None:
    with pytest.raises(TimeoutError, match="of its own"):
        await hands.work(calls.expire, (), {}, PATIENCE)
    with pytest.raises(Failed, match="this and that"):
        await hands.work(calls.be_stubborn, (), {}, PATIENCE)
    with pytest.raises((Failed, AttributeError, TypeError), match="lambda"):
        await hands.work(calls.unsendable, (), {}, PATIENCE)
    # And it goes on.
    assert await hands.work(calls.owner, (), {}, PATIENCE) == "nobody"


async def test_only_what_pickles_is_taken(hands: Hands) -> None:
    with pytest.raises((AttributeError, TypeError)):
        await hands.work(lambda: 1, (), {}, PATIENCE)


async def test_a_sealed_value_goes_there_and_back_unopened(hands: Hands) -> None:
    (sealed,), _ = await hands.work(calls.echo, (Sealed([1, 2]),), {}, PATIENCE)
    assert not sealed._value
    (again,), _ = await hands.work(calls.echo, (sealed,), {}, PATIENCE)
    assert again.open() == [1, 2]
    assert again.open() is again.open()
