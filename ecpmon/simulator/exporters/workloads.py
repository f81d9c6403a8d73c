"""`kube_deployment_*` and their kin: what makes pods, how many it wants and has, and what bounds that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ecpmon.simulator.exporters.page import Page, seconds, text
from ecpmon.simulator.model.keys import Document
from ecpmon.simulator.model.manifests import surge_and_unavailable
from ecpmon.simulator.model.quantities import quantity

Lines = Callable[[Page, Document, str], None]


def _counts(page: Page, prefix: str, labels: str, status: Document, names: dict[str, str]) -> None:
    for field, name in names.items():
        page.add(f"{prefix}_{name}", labels, status.get(field) or 0)


def _conditions(page: Page, name: str, labels: str, document: Document) -> None:
    for condition in (document.get("status") or {}).get("conditions") or ():
        page.condition(name, labels, condition["type"], condition["status"])


def _basics(page: Page, prefix: str, labels: str, document: Document) -> None:
    metadata = document["metadata"]
    page.add(f"{prefix}_created", labels, seconds(metadata["creationTimestamp"]))
    if "generation" in metadata:
        page.add(f"{prefix}_metadata_generation", labels, metadata["generation"])


def _owner(page: Page, name: str, labels: str, document: Document) -> None:
    owner: Document = next(iter(document["metadata"].get("ownerReferences") or ()), {})
    controls = str(bool(owner.get("controller"))).lower() if owner else ""
    owned = text(
        owner_kind=owner.get("kind", ""), owner_name=owner.get("name", ""), owner_is_controller=controls
    )
    page.add(name, f"{labels},{owned}", 1)


def _whole(value: Any, default: int) -> int:
    return default if value is None else int(value)


def deployment_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, spec = "kube_deployment", document["spec"]
    labels = f"{namespace},{text(deployment=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    names = {
        "replicas": "status_replicas",
        "readyReplicas": "status_replicas_ready",
        "availableReplicas": "status_replicas_available",
        "unavailableReplicas": "status_replicas_unavailable",
        "updatedReplicas": "status_replicas_updated",
        "observedGeneration": "status_observed_generation",
    }
    _counts(page, prefix, labels, document.get("status") or {}, names)
    _conditions(page, f"{prefix}_status_condition", labels, document)
    wanted = _whole(spec.get("replicas"), 1)
    page.add(f"{prefix}_spec_replicas", labels, wanted)
    page.add(f"{prefix}_spec_paused", labels, int(bool(spec.get("paused"))))
    if (spec.get("strategy") or {}).get("type") != "Recreate":
        surge, unavailable = surge_and_unavailable(document, wanted)
        page.add(f"{prefix}_spec_strategy_rollingupdate_max_surge", labels, surge)
        page.add(f"{prefix}_spec_strategy_rollingupdate_max_unavailable", labels, unavailable)


def replica_set_lines(page: Page, document: Document, namespace: str) -> None:
    prefix = "kube_replicaset"
    labels = f"{namespace},{text(replicaset=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    _owner(page, f"{prefix}_owner", labels, document)
    names = {
        "replicas": "status_replicas",
        "fullyLabeledReplicas": "status_fully_labeled_replicas",
        "readyReplicas": "status_ready_replicas",
        "observedGeneration": "status_observed_generation",
    }
    _counts(page, prefix, labels, document.get("status") or {}, names)
    page.add(f"{prefix}_spec_replicas", labels, _whole(document["spec"].get("replicas"), 1))


def stateful_set_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, status = "kube_statefulset", document.get("status") or {}
    labels = f"{namespace},{text(statefulset=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    names = {
        "replicas": "status_replicas",
        "readyReplicas": "status_replicas_ready",
        "availableReplicas": "status_replicas_available",
        "currentReplicas": "status_replicas_current",
        "updatedReplicas": "status_replicas_updated",
        "observedGeneration": "status_observed_generation",
    }
    _counts(page, prefix, labels, status, names)
    page.add(f"{prefix}_replicas", labels, _whole(document["spec"].get("replicas"), 1))
    for field, name in (("currentRevision", "current_revision"), ("updateRevision", "update_revision")):
        if status.get(field):
            page.add(f"{prefix}_status_{name}", f"{labels},{text(revision=status[field])}", 1)


def daemon_set_lines(page: Page, document: Document, namespace: str) -> None:
    prefix = "kube_daemonset"
    labels = f"{namespace},{text(daemonset=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    names = {
        "currentNumberScheduled": "status_current_number_scheduled",
        "desiredNumberScheduled": "status_desired_number_scheduled",
        "numberAvailable": "status_number_available",
        "numberMisscheduled": "status_number_misscheduled",
        "numberReady": "status_number_ready",
        "numberUnavailable": "status_number_unavailable",
        "updatedNumberScheduled": "status_updated_number_scheduled",
        "observedGeneration": "status_observed_generation",
    }
    _counts(page, prefix, labels, document.get("status") or {}, names)


def job_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, spec, status = "kube_job", document["spec"], document.get("status") or {}
    labels = f"{namespace},{text(job_name=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    page.add(f"{prefix}_info", labels, 1)
    _owner(page, f"{prefix}_owner", labels, document)
    _counts(page, prefix, labels, status, {"active": "status_active", "succeeded": "status_succeeded"})
    ended = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    reason = (ended.get("Failed") or {}).get("reason", "")
    failed = status.get("failed") or 0
    about = f"{labels},{text(reason=reason)}" if reason else labels
    page.add(f"{prefix}_status_failed", about, 1 if reason else failed)
    for kind, name in (("Complete", "complete"), ("Failed", "failed")):
        if kind in ended:
            choices = ("true", "false", "unknown")
            page.state(f"{prefix}_{name}", labels, "condition", "true", choices)
    for field, name in (
        ("parallelism", "parallelism"),
        ("completions", "completions"),
        ("activeDeadlineSeconds", "active_deadline_seconds"),
    ):
        if spec.get(field) is not None:
            page.add(f"{prefix}_spec_{name}", labels, spec[field])
    for field, name in (("startTime", "start_time"), ("completionTime", "completion_time")):
        if status.get(field):
            page.add(f"{prefix}_status_{name}", labels, seconds(status[field]))


def cron_job_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, spec, status = "kube_cronjob", document["spec"], document.get("status") or {}
    labels = f"{namespace},{text(cronjob=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    about = text(schedule=spec.get("schedule", ""), concurrency_policy=spec.get("concurrencyPolicy", "Allow"))
    page.add(f"{prefix}_info", f"{labels},{about}", 1)
    page.add(f"{prefix}_spec_suspend", labels, int(bool(spec.get("suspend"))))
    page.add(f"{prefix}_status_active", labels, len(status.get("active") or ()))
    for field, name in (
        ("lastScheduleTime", "last_schedule_time"),
        ("lastSuccessfulTime", "last_successful_time"),
    ):
        if status.get(field):
            page.add(f"{prefix}_status_{name}", labels, seconds(status[field]))


def autoscaler_lines(page: Page, document: Document, namespace: str) -> None:
    prefix, spec, status = "kube_horizontalpodautoscaler", document["spec"], document.get("status") or {}
    labels = f"{namespace},{text(horizontalpodautoscaler=document['metadata']['name'])}"
    _basics(page, prefix, labels, document)
    target = spec.get("scaleTargetRef") or {}
    about = text(
        scaletargetref_api_version=target.get("apiVersion", ""),
        scaletargetref_kind=target.get("kind", ""),
        scaletargetref_name=target.get("name", ""),
    )
    page.add(f"{prefix}_info", f"{labels},{about}", 1)
    page.add(f"{prefix}_spec_min_replicas", labels, _whole(spec.get("minReplicas"), 1))
    page.add(f"{prefix}_spec_max_replicas", labels, _whole(spec.get("maxReplicas"), 1))
    _counts(
        page, prefix, labels, status,
        {"currentReplicas": "status_current_replicas", "desiredReplicas": "status_desired_replicas"},
    )  # fmt: skip
    _conditions(page, f"{prefix}_status_condition", labels, document)
    for name, place, metrics in (
        ("spec_target_metric", "target", spec.get("metrics")),
        ("status_target_metric", "current", status.get("currentMetrics")),
    ):
        for metric in metrics or ():
            resource = metric.get("resource") or {}
            _target_metric(page, f"{prefix}_{name}", labels, resource.get("name"), resource.get(place) or {})


def _target_metric(page: Page, name: str, labels: str, resource: str | None, found: Document) -> None:
    if not resource:
        return
    for field, kind in (("averageUtilization", "utilization"), ("averageValue", "average")):
        if found.get(field) is not None:
            about = text(metric_name=resource, metric_target_type=kind)
            page.add(name, f"{labels},{about}", float(quantity(found[field])))


def budget_lines(page: Page, document: Document, namespace: str) -> None:
    prefix = "kube_poddisruptionbudget"
    labels = f"{namespace},{text(poddisruptionbudget=document['metadata']['name'])}"
    page.add(f"{prefix}_created", labels, seconds(document["metadata"]["creationTimestamp"]))
    names = {
        "currentHealthy": "status_current_healthy",
        "desiredHealthy": "status_desired_healthy",
        "disruptionsAllowed": "status_pod_disruptions_allowed",
        "expectedPods": "status_expected_pods",
        "observedGeneration": "status_observed_generation",
    }
    _counts(page, prefix, labels, document.get("status") or {}, names)


WORKLOADS: Final[dict[str, Lines]] = {
    "deployments.apps": deployment_lines,
    "replicasets.apps": replica_set_lines,
    "statefulsets.apps": stateful_set_lines,
    "daemonsets.apps": daemon_set_lines,
    "jobs.batch": job_lines,
    "cronjobs.batch": cron_job_lines,
    "horizontalpodautoscalers.autoscaling": autoscaler_lines,
    "poddisruptionbudgets.policy": budget_lines,
}
