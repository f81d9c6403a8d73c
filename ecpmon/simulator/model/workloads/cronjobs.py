"""CronJobs: a Job whenever their schedule comes."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.model.controllers import STIR
from ecpmon.simulator.model.keys import Document, ObjectKey, Refused
from ecpmon.simulator.model.quotas import check_quota
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import DAY, MINUTE, Micros, parsed, timestamp, to_datetime, to_micros
from ecpmon.simulator.model.workloads import jobs
from ecpmon.simulator.model.workloads.cron import next_after
from ecpmon.simulator.model.workloads.owned import group_of, set_status, tell

RESOURCE: Final = "cronjobs.batch"


def reconcile(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Begin the Job that is due, forget those that are over for long, and come again for the next."""
    spec = found["spec"]
    for kind, name, default in (
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ):
        limit = spec.get(name)
        over = [job for job in _jobs(draft, key, found) if (jobs.finish_of(job) or {}).get("type") == kind]
        for job in over[: max(0, len(over) - (default if limit is None else int(limit)))]:
            _remove(draft, found, job)
    due = _due(found, draft.now)
    if due is None or spec.get("suspend"):
        return
    latest = due
    while (following := _next(found, latest)) is not None and following <= draft.now:
        latest = following
    if latest > draft.now:
        draft.push(latest, STIR, group_of(key))
        return
    _begin(draft, key, found, latest)
    if following is not None:
        draft.push(following, STIR, group_of(key))


def observe(draft: Draft, key: ObjectKey, found: Document) -> None:
    status = {k: v for k, v in (found.get("status") or {}).items() if k != "active"}
    own = _jobs(draft, key, found)
    active = [_reference(job) for job in own if not jobs.is_finished(job)]
    ends = [job["status"]["completionTime"] for job in own if (job.get("status") or {}).get("completionTime")]
    if ends:
        status["lastSuccessfulTime"] = max([*ends, status.get("lastSuccessfulTime", "")])
    set_status(draft, key, found, {**({"active": active} if active else {}), **status})


def _due(found: Document, now: Micros) -> Micros | None:
    """The first time after the last one that was begun, or after it was made."""
    last = (found.get("status") or {}).get("lastScheduleTime") or found["metadata"]["creationTimestamp"]
    # What was missed for longer, while it was suspended, is not made up for.
    return _next(found, max(min(parsed(last), now), now - DAY))


def _next(found: Document, after: Micros) -> Micros | None:
    """None for a schedule that never comes, or that is none: the API refuses most of these."""
    spec = found["spec"]
    try:
        at = next_after(str(spec["schedule"]), to_datetime(after), spec.get("timeZone"))
    except (ValueError, KeyError):
        return None
    return None if at is None else to_micros(at)


def _begin(draft: Draft, key: ObjectKey, found: Document, due: Micros) -> None:
    running = [job for job in _jobs(draft, key, found) if not jobs.is_finished(job)]
    policy = found["spec"].get("concurrencyPolicy", "Allow")
    status = {**(found.get("status") or {}), "lastScheduleTime": timestamp(due)}
    if running and policy == "Forbid":
        tell(
            draft,
            found,
            "JobAlreadyActive",
            "Not starting job because prior execution is running and concurrency policy is Forbid",
        )
        set_status(draft, key, found, status)
        return
    for job in running if policy == "Replace" else ():
        _remove(draft, found, job)
    about = ObjectKey(jobs.RESOURCE, key.namespace, f"{key.name}-{due // MINUTE}")
    if draft.object(about) is None:
        document = _job(draft, found, about)
        try:
            check_quota(draft, about, document)
        except Refused as error:
            tell(draft, found, "FailedCreate", f"Error creating job: {error.message}", warning=True)
        else:
            draft.put_object(about, document)
            draft.push(draft.now, STIR, group_of(about))
            tell(draft, found, "SuccessfulCreate", f"Created job {about.name}")
    set_status(draft, key, found, status)


def _job(draft: Draft, found: Document, about: ObjectKey) -> Document:
    template = found["spec"]["jobTemplate"]
    written = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": found["metadata"]["name"],
        "uid": found["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata: dict[str, Any] = {**draft.identity(about), "generation": 1, "ownerReferences": [owner]}
    metadata |= {name: written[name] for name in ("labels", "annotations") if written.get(name)}
    defaults = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
    }
    spec = {**defaults, **template["spec"]}
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    return jobs.labelled(document, about.name, str(metadata["uid"]))


def _jobs(draft: Draft, key: ObjectKey, found: Document) -> list[Document]:
    """The Jobs that it made, the oldest first."""
    uid = found["metadata"]["uid"]
    return [
        job
        for job in draft.objects_of(key.namespace, jobs.RESOURCE)
        if any(owner.get("uid") == uid for owner in job["metadata"].get("ownerReferences") or ())
    ]


def _remove(draft: Draft, found: Document, job: Document) -> None:
    name = job["metadata"]["name"]
    jobs.remove(draft, ObjectKey(jobs.RESOURCE, job["metadata"]["namespace"], name))
    tell(draft, found, "SuccessfulDelete", f"Deleted job {name}")


def _reference(job: Document) -> Document:
    metadata = job["metadata"]
    identity = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": "batch/v1", "kind": "Job", **identity}
