"""It is silent when evaluation does not go on, and only then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ecpmon.alerts.deadman import NAME, NEEDED, message, stalled

PERIODS = {"alerts": 5.0, "rolling_sla": 5.0, "objectives": 20.0}


@pytest.mark.parametrize(
    ("successes", "silent"),
    [
        ({"alerts": 995.0, "rolling_sla": 990.0, "objectives": 980.0}, []),
        ({"alerts": 915.0, "rolling_sla": 990.0, "objectives": 840.0}, []),
        ({"alerts": 914.0, "rolling_sla": 990.0, "objectives": 840.0}, ["alerts"]),
        ({"alerts": 995.0, "rolling_sla": 990.0, "objectives": None}, ["objectives"]),
    ],
    ids=["all go on", "just so", "one has stopped", "one never succeeded"],
)
def test_a_job_that_has_not_succeeded_for_five_turns_and_a_minute_silences_it(
    successes: dict[str, float | None], silent: list[str]
) -> None:
    assert stalled(successes, PERIODS, 0.0, 1_000.0) == silent


def test_whoever_has_just_begun_to_lead_has_as_long_as_anybody() -> None:
    nothing = dict.fromkeys(NEEDED)
    assert stalled(nothing, PERIODS, 1_000.0, 1_085.0) == []
    assert stalled(nothing, PERIODS, 1_000.0, 1_086.0) == ["alerts", "rolling_sla"]
    # What it had done when it led before counts for nothing.
    assert stalled(dict.fromkeys(NEEDED, 10.0), PERIODS, 1_000.0, 1_086.0) == ["alerts", "rolling_sla"]


def test_the_message_is_one_that_receivers_of_alertmanager_know() -> None:
    body = message(datetime(2026, 3, 2, 9, tzinfo=UTC), "http://ecpmon.example")
    [alert] = body["alerts"]
    assert (body["status"], body["version"]) == ("firing", "4")
    assert alert["labels"] == {"alertname": NAME, "rule_id": "deadman", "severity": "none"}
    assert alert["startsAt"] == "2026-03-02T09:00:00Z"
