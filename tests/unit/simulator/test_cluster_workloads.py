"""StatefulSets, DaemonSets, Jobs and CronJobs run, and claims outlive what uses them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cluster_kube import (
    BUDGETS,
    NS,
    PODS,
    cluster,
    container,
    edit,
    get,
    gone,
    is_ready,
    pod,
    pod_docs,
    put,
    reasons,
    remove,
)
from sim_cluster import later

from ecpmon.simulator import journal
from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import Document
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.workloads.cron import next_after

SETS, DAEMONS, JOBS, CRONS = "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch"
CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
LABELS = {"app": "db"}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def template(image: str = "db:1", **spec: Any) -> Document:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [container(image)], **spec}}


def owner(kind: str, **spec: Any) -> Document:
    """A StatefulSet or DaemonSet as the API hands it over."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "spec": {"selector": {"matchLabels": LABELS}, "template": template(), **spec},
    }


def stateful(replicas: int = 3, **spec: Any) -> Document:
    claim = {"metadata": {"name": "data"}, "spec": CLAIM}
    return owner("StatefulSet", replicas=replicas, serviceName="db", volumeClaimTemplates=[claim], **spec)


def job(*, image: str = "task:1", restart: str = "Never", **spec: Any) -> Document:
    pods = template(image, restartPolicy=restart)
    defaults = {"completions": 1, "parallelism": 1, "backoffLimit": 6}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {**defaults, "template": pods, **spec}}


def names(state: ClusterState) -> list[str]:
    return sorted(p["metadata"]["name"] for p in pod_docs(state))


def images(state: ClusterState) -> list[str]:
    pods = sorted(pod_docs(state), key=lambda p: str(p["metadata"]["name"]))
    return [p["spec"]["containers"][0]["image"] for p in pods]


def test_a_stateful_set_begins_its_pods_in_order_each_with_a_disk_of_its_own() -> None:
    state = put(cluster(), SETS, "db", stateful())
    assert names(later(state, 7)) == ["db-0"]
    assert names(later(state, 9)) == ["db-0", "db-1"]
    state = later(state, 30)
    assert names(state) == ["db-0", "db-1", "db-2"]
    assert all(map(is_ready, pod_docs(state)))
    found = get(state, SETS, "db")["status"]
    assert (found["readyReplicas"], found["availableReplicas"], found["updatedReplicas"]) == (3, 3, 3)
    assert found["currentRevision"] == found["updateRevision"]
    first = get(state, PODS, "db-0")
    assert first["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
    assert first["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
    assert first["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}]
    claims = {c["metadata"]["name"]: c["status"]["phase"] for c in kube.items(state, CLAIMS, NS)}
    assert claims == {f"data-db-{n}": "Bound" for n in range(3)}
    assert len(kube.items(state, VOLUMES)) == 3


def test_a_stateful_set_goes_down_and_over_to_a_new_template_from_its_end() -> None:
    state = later(put(cluster(), SETS, "db", stateful()), 60)
    state = edit(state, SETS, "db", "spec.template.spec.containers.0.image", "db:2")
    assert images(later(state, 1)) == ["db:1", "db:1"], "the name is free when its pod has stopped"
    assert images(later(state, 9)) == ["db:1", "db:1", "db:2"]
    rolled = later(state, 120)
    assert images(rolled) == ["db:2"] * 3
    found = get(rolled, SETS, "db")["status"]
    assert found["currentRevision"] == found["updateRevision"]
    down = edit(rolled, SETS, "db", "spec.replicas", 1)
    assert names(down) == ["db-0", "db-1"]
    assert names(later(down, 10)) == ["db-0"]
    assert len(kube.items(later(down, 10), CLAIMS, NS)) == 3
    back = later(edit(later(down, 10), SETS, "db", "spec.replicas", 3), 60)
    assert names(back) == ["db-0", "db-1", "db-2"]


def test_a_partition_holds_back_the_first_pods() -> None:
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    state = later(put(cluster(), SETS, "db", stateful(updateStrategy=update)), 60)
    state = later(edit(state, SETS, "db", "spec.template.spec.containers.0.image", "db:2"), 120)
    assert images(state) == ["db:1", "db:1", "db:2"]
    state = later(remove(state, PODS, "db-0"), 30)
    assert images(state) == ["db:1", "db:1", "db:2"], "what comes back has the template of its place"


def test_the_disks_of_a_stateful_set_stay_unless_it_says_otherwise() -> None:
    state = later(put(cluster(), SETS, "db", stateful(2)), 60)
    kept = later(remove(state, SETS, "db"), 10)
    assert (names(kept), len(kube.items(kept, CLAIMS, NS))) == ([], 2)
    policy = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    state = edit(state, SETS, "db", "spec.persistentVolumeClaimRetentionPolicy", policy)
    gone_too = later(remove(state, SETS, "db"), 10)
    assert (kube.items(gone_too, CLAIMS, NS), kube.items(gone_too, VOLUMES)) == ([], [])
    assert not kube.items(gone_too, "controllerrevisions.apps", NS)


def test_pods_that_a_stateful_set_is_parted_from_go_on() -> None:
    state = later(put(cluster(), SETS, "db", stateful(2)), 60)
    state = later(remove(state, SETS, "db", propagation="Orphan"), 10)
    assert names(state) == ["db-0", "db-1"]
    assert all("ownerReferences" not in p["metadata"] for p in pod_docs(state))


def test_a_budget_knows_how_many_pods_a_stateful_set_wants() -> None:
    body = {"spec": {"selector": {"matchLabels": LABELS}, "maxUnavailable": 1}}
    state = put(put(cluster(), SETS, "db", stateful()), BUDGETS, "db", body)
    assert get(later(state, 9), BUDGETS, "db")["status"]["expectedPods"] == 3
    assert get(later(state, 60), BUDGETS, "db")["status"]["disruptionsAllowed"] == 1


def test_a_daemon_runs_on_every_node_that_is_meant_for_it() -> None:
    state = edit(cluster(), "nodes", "node-4", "spec.taints", [{"key": "gpu", "effect": "NoSchedule"}], "")
    state = edit(state, "nodes", "node-3", "spec.unschedulable", True, "")
    state = later(put(state, DAEMONS, "agent", owner("DaemonSet")), 30)
    where = sorted(p["spec"]["nodeName"] for p in pod_docs(state))
    assert where == ["node-1", "node-2", "node-3"]
    found = get(state, DAEMONS, "agent")["status"]
    assert (found["desiredNumberScheduled"], found["numberReady"], found["numberAvailable"]) == (3, 3, 3)
    state = later(edit(state, "nodes", "node-4", "spec", {}, ""), 30)
    assert len(pod_docs(state)) == 4
    rolled = edit(state, DAEMONS, "agent", "spec.template.spec.containers.0.image", "db:2")
    for _ in range(60):
        assert sum(map(is_ready, pod_docs(rolled))) >= 3
        rolled = later(rolled, 1)
    assert images(rolled) == ["db:2"] * 4
    assert get(rolled, DAEMONS, "agent")["status"]["updatedNumberScheduled"] == 4


def test_a_job_runs_to_its_end_and_frees_what_it_used() -> None:
    state = put(cluster(), JOBS, "task", job(completions=3, parallelism=2))
    assert get(state, JOBS, "task")["status"]["active"] == 2
    state = later(state, 60)
    found = get(state, JOBS, "task")
    assert (found["status"]["succeeded"], "active" in found["status"]) == (3, False)
    assert [c["type"] for c in found["status"]["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert found["status"]["completionTime"] > found["status"]["startTime"]
    (phase,) = {p["status"]["phase"] for p in pod_docs(state)}
    terminated = pod_docs(state)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (phase, terminated["reason"], terminated["exitCode"]) == ("Succeeded", "Completed", 0)
    assert all(node.used.cpu_millicores == 0 for node in state.nodes.values())
    assert {"SuccessfulCreate", "Completed"} == reasons(state, "Job")
    state = later(remove(state, JOBS, "task"), 3)
    assert names(state) == []


def test_a_job_that_fails_is_tried_again_and_given_up() -> None:
    state = put(cluster(), JOBS, "task", job(image="task:crash", backoffLimit=2))
    assert get(later(state, 10), JOBS, "task")["status"]["failed"] == 1
    state = later(state, 300)
    found = get(state, JOBS, "task")["status"]
    assert found["failed"] == 3
    assert found["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert {p["status"]["phase"] for p in pod_docs(state)} == {"Failed"}


def test_jobs_end_in_time_wait_and_leave() -> None:
    slow = {"ecp.ai/run-seconds": "600"}
    body = job(activeDeadlineSeconds=30)
    body["spec"]["template"]["metadata"]["annotations"] = slow
    late = later(put(cluster(), JOBS, "task", body), 40)
    assert get(late, JOBS, "task")["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    assert names(late) == []
    waiting = later(put(cluster(), JOBS, "task", job(suspend=True)), 40)
    assert (names(waiting), get(waiting, JOBS, "task")["status"]["conditions"][0]["type"]) == (
        [],
        "Suspended",
    )
    begun = later(edit(waiting, JOBS, "task", "spec.suspend", False), 40)
    assert get(begun, JOBS, "task")["status"]["succeeded"] == 1
    brief = later(put(cluster(), JOBS, "task", job(ttlSecondsAfterFinished=5)), 40)
    assert gone(brief, JOBS, "task")
    assert names(brief) == []


def test_an_indexed_job_does_every_index_once() -> None:
    body = job(completions=3, parallelism=3, completionMode="Indexed")
    state = later(put(cluster(), JOBS, "task", body), 40)
    assert get(state, JOBS, "task")["status"]["completedIndexes"] == "0-2"


def test_a_cron_job_begins_a_job_whenever_it_is_due_and_keeps_the_last_ones() -> None:
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"schedule": "*/2 * * * *", "jobTemplate": job()},
    }
    state = later(put(cluster(), CRONS, "tick", body), 15 * 60)
    made = kube.items(state, JOBS, NS)
    assert [j["status"]["succeeded"] for j in made] == [1, 1, 1]
    assert made[0]["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    assert (
        get(state, CRONS, "tick")["status"]["lastScheduleTime"] >= made[-1]["metadata"]["creationTimestamp"]
    )
    held = edit(state, CRONS, "tick", "spec.suspend", True)
    assert len(kube.items(later(held, 600), JOBS, NS)) == 3
    state = later(remove(state, CRONS, "tick"), 5)
    assert (kube.items(state, JOBS, NS), names(state)) == ([], [])


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        ("30 4 * * *", None, "2026-03-01T04:30:00"),
        ("30 4 * * *", "Asia/Seoul", "2026-02-28T19:30:00"),
        ("0 0 29 feb *", None, "2028-02-29T00:00:00"),
        ("0 12 1 * mon", None, "2026-03-01T12:00:00"),
        ("*/20 9-17 * * MON-FRI", None, "2026-03-02T09:00:00"),
        ("@hourly", None, "2026-02-28T13:00:00"),
    ],
)
def test_a_schedule_comes_next(schedule: str, zone: str | None, expected: str) -> None:
    moment = datetime(2026, 2, 28, 12, 0, tzinfo=UTC)
    found = next_after(schedule, moment, zone)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_claim_waits_for_its_pod_and_stays_as_long_as_it_is_used() -> None:
    state = later(put(cluster(), CLAIMS, "data", {"spec": CLAIM, "status": {"phase": "Pending"}}), 5)
    found = get(state, CLAIMS, "data")
    assert (found["status"]["phase"], found["spec"]["storageClassName"]) == ("Pending", "standard")
    assert "WaitForFirstConsumer" in reasons(state, "PersistentVolumeClaim")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    state = later(put(state, PODS, "one", pod(volumes=[volume])), 10)
    found = get(state, CLAIMS, "data")
    assert (found["status"]["phase"], found["status"]["capacity"]) == ("Bound", {"storage": "1Gi"})
    assert get(state, VOLUMES, found["spec"]["volumeName"], "")["spec"]["claimRef"]["name"] == "data"
    state = later(remove(state, CLAIMS, "data"), 60)
    assert "deletionTimestamp" in get(state, CLAIMS, "data")["metadata"]
    two = later(put(state, PODS, "two", pod(volumes=[volume])), 5)
    assert 'persistentvolumeclaim "data" is being deleted' in str(get(two, PODS, "two")["status"])
    state = remove(state, PODS, "one")
    assert not gone(state, CLAIMS, "data"), "its pod is still stopping"
    state = later(state, 5)
    assert gone(state, CLAIMS, "data")
    assert not kube.items(state, VOLUMES)


def test_a_claim_that_nobody_can_serve_says_so() -> None:
    other = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "ebs.csi.aws.com"}
    state = put(cluster(), "storageclasses.storage.k8s.io", "gp3", other, "")
    for name, wanted in (("a", "gp3"), ("b", "none"), ("c", "")):
        state = put(
            state,
            CLAIMS,
            name,
            {"spec": {**CLAIM, "storageClassName": wanted}, "status": {"phase": "Pending"}},
        )
    state = later(state, 5)
    told = reasons(state, "PersistentVolumeClaim")
    assert told == {"ExternalProvisioning", "ProvisioningFailed", "FailedBinding"}
    volume = {"spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"]}}
    state = put(state, VOLUMES, "disk", {"apiVersion": "v1", "kind": "PersistentVolume", **volume}, "")
    state = later(put(state, "configmaps", "any", {}), 5)
    assert get(state, CLAIMS, "c")["spec"]["volumeName"] == "disk"


def test_whatever_runs_can_be_written_down_and_read_again() -> None:
    before = cluster()
    state = put(put(before, SETS, "db", stateful()), DAEMONS, "agent", owner("DaemonSet"))
    state = later(put(state, JOBS, "task", job(image="task:crash")), 45)
    document = orjson.loads(orjson.dumps(before))
    journal.apply(document, orjson.loads(orjson.dumps(journal.changes(before, state))))
    assert document == orjson.loads(orjson.dumps(state))
    split = state
    for _ in range(30):
        split = later(split, 2)
    assert split == later(state, 60), "time may be cut in any way"
