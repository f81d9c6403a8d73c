"""Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    immutable,
    invalid,
    not_negative,
    one_of,
    required,
    too_long,
    unsupported,
)
from ecpmon.kube.cron import schedule_problem, time_zone_problem
from ecpmon.kube.job_policies import failure_policy_causes, success_policy_causes
from ecpmon.kube.metadata import future_name, matches, selector_causes
from ecpmon.kube.pods import template_causes

_COUNTS: Final = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_MOST_INDEXED: Final = 100_000
_MAX_MANAGER: Final = 63
_ENDING: Final = ("OnFailure", "Never")
# The names of a Job's pods are longer than its own.
MAX_CRON_NAME: Final = 52
# Labels that the server gives the pods of a Job.
_NAME_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")


def job_causes(document: Document, old: Document | None) -> Causes:
    spec, (named, name) = document.get("spec") or {}, future_name(document["metadata"])
    labelled = _labelled(spec, name)
    yield from _spec(labelled, "spec")
    selector, own = spec.get("selector"), bool(spec.get("manualSelector"))
    wrong = list(selector_causes(selector, "spec.selector"))
    yield from wrong
    if own and selector is None:
        yield required("spec.selector")
    elif selector is not None and not own and old is None:
        yield invalid("spec.selector", selector, "`selector` not auto-generated")
    labels = ((labelled.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not wrong and (own or (selector is not None and old is None)) and not matches(selector, labels):
        detail = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", labels, detail)
    completions = spec.get("completions", 0)
    if spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{name}-{completions - 1}"
        if names.dns_label(host):
            detail = f"will not able to create pod with invalid DNS label: {host}"
            yield invalid(named, name, detail)
    yield from _changes(spec, old)


def _labelled(spec: Mapping[str, Any], name: str) -> Document:
    """With the labels that the server adds to the pods, by which it will know them."""
    if spec.get("manualSelector") or not name:
        return dict(spec)
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {**dict.fromkeys(_NAME_LABELS, name), **(metadata.get("labels") or {})}
    return {**spec, "template": {**template, "metadata": {**metadata, "labels": labels}}}


def _changes(spec: Mapping[str, Any], old: Document | None) -> Causes:
    before = (old or {}).get("spec") or {}
    fixed = ["selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"]
    if spec.get("completionMode") != "Indexed":
        fixed.append("completions")
    for key in fixed if old is not None else ():
        if spec.get(key) != before.get(key):
            yield immutable(f"spec.{key}", spec.get(key))


def _spec(spec: Mapping[str, Any], path: str) -> Causes:
    yield from not_negative(spec, _COUNTS, path)
    yield from _modes(spec, path)
    yield from failure_policy_causes(spec, path)
    yield from success_policy_causes(spec, path)
    template = spec.get("template") or {}
    yield from template_causes(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    field = f"{path}.template.spec.restartPolicy"
    if policy in ("Always", ""):
        yield required(field, 'valid values: "OnFailure", "Never"')
    elif policy not in _ENDING:
        yield unsupported(field, policy, _ENDING)
    elif "podFailurePolicy" in spec and policy != "Never":
        yield invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _modes(spec: Mapping[str, Any], path: str) -> Causes:
    if "managedBy" in spec:
        yield from _manager(spec["managedBy"], f"{path}.managedBy")
    yield from one_of(spec, "completionMode", ("NonIndexed", "Indexed"), path)
    allowed = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    yield from one_of(spec, "podReplacementPolicy", allowed, path)
    by_index = [key for key in ("backoffLimitPerIndex", "maxFailedIndexes") if key in spec]
    if by_index == ["maxFailedIndexes"]:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.get("completionMode", "NonIndexed") == "NonIndexed":
        for key in by_index:
            yield invalid(f"{path}.{key}", spec[key], "requires indexed completion mode")
    elif spec["completionMode"] == "Indexed":
        yield from _indexed(spec, path)


def _manager(name: str, at: str) -> Causes:
    domain, _, rest = name.partition("/")
    if not name:
        yield required(at)
    elif not rest or names.dns_subdomain(domain) or not names.is_path(rest):
        yield invalid(at, name, 'must be a domain-prefixed path (such as "acme.io/foo")')
    if len(name) > _MAX_MANAGER:
        yield too_long(at, _MAX_MANAGER)


def _indexed(spec: Mapping[str, Any], path: str) -> Causes:
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    if completions is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if spec.get("parallelism", 0) > _MOST_INDEXED:
        detail = f"must be less than or equal to {_MOST_INDEXED} when completion mode is Indexed"
        yield invalid(f"{path}.parallelism", spec["parallelism"], detail)
    if failed is None:
        return
    if completions is not None and failed > completions:
        yield invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    elif failed > _MOST_INDEXED:
        yield invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_MOST_INDEXED}")


def cron_job_causes(document: Document, _: Document | None) -> Causes:
    spec, (named, name) = document.get("spec") or {}, future_name(document["metadata"])
    if len(name) > MAX_CRON_NAME:
        yield invalid(named, name, names.too_long(MAX_CRON_NAME))
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    yield from _schedule(schedule, zone)
    yield from not_negative(
        spec, ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"), "spec"
    )
    yield from one_of(spec, "concurrencyPolicy", ("Allow", "Forbid", "Replace"), "spec")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    path = "spec.jobTemplate.spec"
    yield from _spec(job, path)
    if "selector" in job:
        yield invalid(f"{path}.selector", job["selector"], "`selector` will be auto-generated")
    if job.get("manualSelector"):
        yield unsupported(f"{path}.manualSelector", True, ("nil", "false"))


def _schedule(schedule: str, zone: str | None) -> Causes:
    field = "spec.schedule"
    if not schedule:
        yield required(field)
    elif "TZ" in schedule:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        if zone is not None:
            detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        yield invalid(field, schedule, detail)
    else:
        problem = schedule_problem(schedule)
        if problem is not None:
            yield invalid(field, schedule, problem)
    problem = None if zone is None else time_zone_problem(zone)
    if problem is not None:
        yield invalid("spec.timeZone", zone, problem)
