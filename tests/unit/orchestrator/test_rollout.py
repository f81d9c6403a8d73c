"""What the status of a Deployment says."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.orchestrator.deployers.rollout import (
    Stage,
    as_applied,
    judge,
    owns_replicas,
    replica_failure,
    same_content,
    waiting_reasons,
)


def deployment(generation: int = 2, wanted: int | None = 3, **status: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {} if wanted is None else {"replicas": wanted}
    return {"metadata": {"name": "web", "generation": generation}, "spec": spec, "status": status}


def counts(seen: int, total: int, updated: int, available: int, **more: Any) -> dict[str, Any]:
    return {
        "observedGeneration": seen,
        "replicas": total,
        "updatedReplicas": updated,
        "availableReplicas": available,
        "readyReplicas": available,
        **more,
    }


GAVE_UP = {
    "type": "Progressing",
    "reason": "ProgressDeadlineExceeded",
    "status": "False",
    "message": "timed out",
}


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ({}, Stage.PROGRESSING),
        (counts(1, 3, 3, 3), Stage.PROGRESSING),  # the numbers are of the generation before
        (counts(1, 3, 3, 3, conditions=[GAVE_UP]), Stage.PROGRESSING),  # and so is the verdict
        (counts(2, 3, 2, 3), Stage.PROGRESSING),
        (counts(2, 3, 3, 2), Stage.PROGRESSING),
        (counts(2, 4, 3, 3), Stage.PROGRESSING),  # an old pod is still there
        (counts(2, 3, 3, 3), Stage.DONE),
        (counts(3, 3, 3, 3), Stage.DONE),
        (counts(2, 3, 1, 1, conditions=[GAVE_UP]), Stage.FAILED),
    ],
)
def test_the_stage_of_a_rollout(status: dict[str, Any], stage: Stage) -> None:
    assert judge(deployment(**status)).stage is stage


def test_replicas_are_ready_of_desired() -> None:
    assert judge(deployment(**counts(2, 3, 3, 1))).replicas == "1/3"
    assert judge(deployment(wanted=None)).replicas == "0/1"  # the API's default
    assert judge(deployment(wanted=0, observedGeneration=2)).stage is Stage.DONE
    assert judge(deployment(**counts(2, 3, 1, 1, conditions=[GAVE_UP]))).reason == "timed out"


def test_reasons_are_told_once_and_starting_is_none() -> None:
    def pod(reason: str, message: str = "", kind: str = "containerStatuses") -> dict[str, Any]:
        return {"status": {kind: [{"state": {"waiting": {"reason": reason, "message": message}}}]}}

    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/5 nodes",
    }
    pods = [
        pod("ContainerCreating"),
        pod("ImagePullBackOff", "no such image"),
        pod("ImagePullBackOff", "no such image"),
        pod("CrashLoopBackOff", kind="initContainerStatuses"),
        {"status": {"conditions": [unscheduled]}},
        {"status": {"containerStatuses": [{"state": {"running": {}}}]}},
        {},
    ]
    assert waiting_reasons(pods) == (
        "ImagePullBackOff: no such image",
        "CrashLoopBackOff",
        "Unschedulable: 0/5 nodes",
    )


def test_pods_that_cannot_be_made() -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "over quota",
    }
    assert replica_failure(deployment(conditions=[condition])) == "FailedCreate: over quota"
    assert replica_failure(deployment(conditions=[{**condition, "status": "False"}])) == ""


@pytest.mark.parametrize(
    ("entry", "owns"),
    [
        ({"manager": "me", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}, True),
        ({"manager": "me", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}, False),
        ({"manager": "me", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}}, False),
        ({"manager": "it", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}, False),
    ],
)
def test_who_owns_the_replicas(entry: dict[str, Any], owns: bool) -> None:
    made = deployment()
    made["metadata"]["managedFields"] = [entry]
    assert owns_replicas(made, "me") is owns


def test_a_live_object_becomes_one_to_apply() -> None:
    live = deployment(**counts(2, 3, 3, 3))
    live["metadata"] |= {
        "resourceVersion": "7",
        "uid": "u",
        "labels": {"a": "b"},
        "annotations": {"deployment.kubernetes.io/revision": "4", "kept": "1"},
    }
    assert as_applied(live, keep_replicas=False) == {
        "metadata": {"name": "web", "labels": {"a": "b"}, "annotations": {"kept": "1"}},
        "spec": {},
    }
    assert as_applied(live)["spec"] == {"replicas": 3}
    assert live["spec"] == {"replicas": 3}


def test_a_status_written_in_between_is_no_change() -> None:
    def reading(version: str, replicas: int, available: int) -> dict[str, Any]:
        made = deployment(wanted=replicas, **counts(2, 3, 3, available))
        made["metadata"]["resourceVersion"] = version
        return made

    assert same_content(reading("7", 3, 3), reading("8", 3, 2))
    assert not same_content(reading("7", 3, 3), reading("8", 4, 3))
