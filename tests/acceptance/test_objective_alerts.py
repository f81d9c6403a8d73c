"""An outage of the simulator, told by its requests: counted, judged once a minute, delivered, resolved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.acceptance.world import Delivery, World


async def minutes(world: World, count: int) -> None:
    """The counting job's turn after each of them, as the live one has three of them a minute."""
    for _ in range(count):
        await world.advance(60, tick=False, pull=True)
        await world.runtime.work.objectives.roll()


def of_requests(seen: list[Delivery]) -> list[dict[str, Any]]:
    alerts = [alert for d in seen for alert in d.document["alerts"]]
    return [a for a in alerts if a["labels"]["alertname"] == "slo_requests_burn_rate_page"]


async def test_an_outage_pages_by_its_requests_and_names_the_objective(world: World) -> None:
    await world.add_tenant("served")
    await minutes(world, 61)
    began = world.clock.now()
    failure = {"failure_type": "full_outage", "duration_seconds": 420.0}
    await world.call("POST", "/api/v1/simulator/failures/served/trigger", failure, 202)
    await minutes(world, 8)
    (fired,) = of_requests(await world.receiver.wait_for(lambda seen: bool(of_requests(seen))))
    assert fired["labels"]["objective"] == "requests"
    assert (fired["annotations"]["long_window"], fired["annotations"]["short_window"]) == ("1h", "5m")
    after = datetime.fromisoformat(fired["startsAt"]) - began
    # 7.2 % of an hour's requests, at whole minutes; the outage takes some seconds to begin and to be read.
    assert timedelta(minutes=4) < after <= timedelta(minutes=6), after
    await minutes(world, 62)
    _, resolved = of_requests(await world.receiver.wait_for(lambda seen: len(of_requests(seen)) == 2))
    assert resolved["status"] == "resolved"
    assert resolved["fingerprint"] == fired["fingerprint"]
