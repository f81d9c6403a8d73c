"""How a deployment is shown: status and phase apart, what is still to come, and when it will be over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.api.deployment_phases import completion, created, pending, phase_of, standing_of
from ecpmon.model.deployments import PROGRESS, DeployedObject, DeploymentRecord, DeploymentStatus

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def record(status: DeploymentStatus, **more: Any) -> DeploymentRecord:
    given = {"progress": PROGRESS.get(status, 0), "requested_at": NOW, "finished_at": None}
    return DeploymentRecord(
        deployment_id="dep-1", tenant=1, tenant_id="acme", method="kubernetes", status=status, message="m",
        created_at=NOW, **{**given, **more},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "progress", "standing", "phase"),
    [
        ("pending", 0, "pending", "pending"),
        ("validating", 5, "deploying", "validating"),
        ("creating-services", 25, "deploying", "creating-services"),
        ("verifying", 90, "deploying", "verifying"),
        ("completed", 100, "completed", "completed"),
        ("failed", 55, "failed", "scaling-services"),
        ("rolled-back", 90, "rolled-back", "verifying"),
        ("failed", 0, "failed", "pending"),
        # Taken up again: it validates once more, and has come as far as it had.
        ("validating", 55, "deploying", "validating"),
    ],
)
def test_status_says_how_it_stands_and_phase_where_it_is(
    status: str, progress: int, standing: str, phase: str
) -> None:
    found = record(DeploymentStatus(status), progress=progress)
    assert (standing_of(found), phase_of(found).value) == (standing, phase)


OBJECTS = (
    DeployedObject("Namespace", "ecp-ai-acme", "created"),
    DeployedObject("Deployment", "callbot", "configured", "3/3"),
    DeployedObject("Deployment", "chatbot", "created", "1/3"),
    DeployedObject("Deployment", "advisor", "pending"),
)


def test_what_is_not_there_or_not_ready_is_still_to_come() -> None:
    found = record(DeploymentStatus.SCALING_SERVICES, objects=OBJECTS)
    assert [o["name"] for o in created(found)] == ["ecp-ai-acme", "callbot"]
    assert pending(found) == [
        {"type": "Deployment", "name": "chatbot", "status": "Progressing"},
        {"type": "Deployment", "name": "advisor", "status": "Pending"},
    ]


def test_of_one_that_is_over_only_what_was_never_made_is_missing() -> None:
    found = record(DeploymentStatus.ROLLED_BACK, objects=OBJECTS, finished_at=NOW)
    assert [o["name"] for o in pending(found)] == ["advisor"]
    assert [o["name"] for o in created(found)] == ["ecp-ai-acme", "callbot", "chatbot"]


def test_it_will_be_over_after_the_usual_time_as_long_as_that_has_not_passed() -> None:
    found = record(DeploymentStatus.SCALING_SERVICES)
    assert completion(found, 120.0, NOW + timedelta(seconds=60)) == NOW + timedelta(seconds=120)
    assert completion(found, 120.0, NOW + timedelta(seconds=121)) is None
    assert completion(found, None, NOW) is None
    assert completion(record(DeploymentStatus.PENDING, requested_at=None), 120.0, NOW) is None
    over = record(DeploymentStatus.COMPLETED, finished_at=NOW + timedelta(seconds=7))
    assert completion(over, 120.0, NOW + timedelta(hours=1)) == NOW + timedelta(seconds=7)
