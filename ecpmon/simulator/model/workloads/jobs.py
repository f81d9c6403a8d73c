"""Jobs: pods that run to their end, as often as it takes and may."""

from __future__ import annotations

from itertools import islice
from typing import Final

from ecpmon.simulator.model.admission import MAX_PODS
from ecpmon.simulator.model.controllers import STIR, drop
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.pods import Pod, PodPhase
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros, parsed, timestamp
from ecpmon.simulator.model.workloads.owned import (
    Wanted,
    drop_pods,
    group_of,
    make_pod,
    remove_pod,
    set_status,
    suffix,
    tell,
)

RESOURCE: Final = "jobs.batch"
_FIRST_BACKOFF: Final[Micros] = 10 * SECOND
_MAX_BACKOFF: Final[Micros] = 360 * SECOND
_INDEX: Final = "batch.kubernetes.io/job-completion-index"
_OUT_OF_TRIES: Final = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_OUT_OF_TIME: Final = ("DeadlineExceeded", "Job was active longer than specified deadline")


def labelled(document: Document, name: str, uid: str) -> Document:
    """A new Job with the selector and labels by which its controller finds its pods."""
    spec = document["spec"]
    if spec.get("manualSelector"):
        return document
    own = {"batch.kubernetes.io/controller-uid": uid}
    named = {**own, "controller-uid": uid, "batch.kubernetes.io/job-name": name, "job-name": name}
    template = spec.get("template") or {}
    written = template.get("metadata") or {}
    labels = {**(written.get("labels") or {}), **named}
    template = {**template, "metadata": {**written, "labels": labels}}
    return {**document, "spec": {**spec, "selector": {"matchLabels": own}, "template": template}}


def reconcile(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Begin what is missing of the pods, end what is not to run; remove the Job when its time after the end is up."""
    pods = draft.pods_in(group_of(key))
    active = [pod for pod in pods if not pod.over]
    if is_finished(found):
        _expire(draft, key, found)
        return
    if found["spec"].get("suspend") or _verdict(draft, found, pods) is not None:
        for pod in active:
            remove_pod(draft, found, pod)
        return
    due = _next_try(pods)
    if due > draft.now:
        draft.push(due, STIR, group_of(key))
        return
    for index in _missing(found, pods, len(active)):
        if not _make(draft, key, found, index):
            break


def _missing(found: Document, pods: list[Pod], active: int) -> list[int | None]:
    """A number for each pod to begin: its index, or None where they have none."""
    spec, done = found["spec"], sum(pod.phase is PodPhase.SUCCEEDED for pod in pods)
    # One more than there can be: what is refused is to be told.
    parallel = min(_number(spec.get("parallelism"), 1), MAX_PODS + 1)
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed":
        taken = {_index(pod) for pod in pods if pod.phase is not PodPhase.FAILED}
        free = (n for n in range(_number(completions, 1)) if n not in taken)
        return list(islice(free, max(0, parallel - active)))
    # Without a number of completions the first that succeeds says that the work is done.
    left = parallel if completions is None else int(completions) - done
    if completions is None and done:
        left = 0
    return [None] * max(0, min(parallel, left) - active)


def _make(draft: Draft, key: ObjectKey, found: Document, index: int | None) -> bool:
    template = found["spec"]["template"]
    numbered = {} if index is None else {_INDEX: str(index)}
    name = key.name if index is None else f"{key.name}-{index}"
    wanted = Wanted(f"{name}-{suffix(draft, found)}", template["spec"], dict(numbered), dict(numbered))
    return make_pod(draft, key, found, wanted, template)


def _index(pod: Pod) -> int:
    return int(pod.meta.labels.get(_INDEX, -1))


def _next_try(pods: list[Pod]) -> Micros:
    """When a pod may take the place of the last that failed."""
    ends = [pod.ended.end for pod in pods if pod.phase is PodPhase.FAILED and pod.ended]
    return max(ends) + min(_FIRST_BACKOFF << min(len(ends) - 1, 16), _MAX_BACKOFF) if ends else 0


def _verdict(draft: Draft, found: Document, pods: list[Pod]) -> tuple[str, str, str] | None:
    """(condition, reason, message) of how it ended; None while it goes on."""
    spec = found["spec"]
    failures = sum(pod.phase is PodPhase.FAILED for pod in pods)
    failures += sum(pod.restarts for pod in pods if pod.phase is not PodPhase.FAILED)
    done = sum(pod.phase is PodPhase.SUCCEEDED for pod in pods)
    completions = spec.get("completions")
    active = any(not pod.over for pod in pods)
    if (completions is None and done and not active) or (completions is not None and done >= completions):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failures > _number(spec.get("backoffLimit"), 6):
        return "Failed", *_OUT_OF_TRIES
    began = (found.get("status") or {}).get("startTime")
    limit = spec.get("activeDeadlineSeconds")
    if began and limit is not None and draft.now - parsed(began) >= int(limit) * SECOND:
        return "Failed", *_OUT_OF_TIME
    return None


def observe(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Counts while it runs; how it ended, once."""
    if is_finished(found):
        return
    pods, spec = draft.pods_in(group_of(key)), found["spec"]
    status = _begun(draft, key, found)
    verdict = None if spec.get("suspend") else _verdict(draft, found, pods)
    running = [] if verdict else [pod for pod in pods if not pod.over]
    counts = {
        "active": len(running),
        "succeeded": sum(pod.phase is PodPhase.SUCCEEDED for pod in pods),
        "failed": sum(pod.phase is PodPhase.FAILED for pod in pods),
    }
    status |= {name: count for name, count in counts.items() if count}
    status |= {"ready": sum(pod.serving for pod in running), "terminating": 0}
    if spec.get("completionMode") == "Indexed":
        status["completedIndexes"] = _spans({_index(p) for p in pods if p.phase is PodPhase.SUCCEEDED})
    if verdict is not None:
        status |= _ended(draft, key, found, verdict)
    set_status(draft, key, found, status)


def _begun(draft: Draft, key: ObjectKey, found: Document) -> Document:
    """Since when it runs, or that it is suspended."""
    before, spec = found.get("status") or {}, found["spec"]
    if spec.get("suspend"):
        if before.get("conditions"):
            return {"conditions": before["conditions"]}
        return {"conditions": [_condition(draft, "Suspended", "JobSuspended", "Job suspended")]}
    if before.get("startTime"):
        return {"startTime": before["startTime"]}
    if spec.get("activeDeadlineSeconds") is not None:
        draft.push(draft.now + (int(spec["activeDeadlineSeconds"]) + 1) * SECOND, STIR, group_of(key))
    return {"startTime": timestamp(draft.now)}


def _ended(draft: Draft, key: ObjectKey, found: Document, verdict: tuple[str, str, str]) -> Document:
    """What its end puts into the status, and sets in motion."""
    kind, reason, message = verdict
    complete = kind == "Complete"
    tell(
        draft,
        found,
        "Completed" if complete else reason,
        "Job completed" if complete else message,
        warning=not complete,
    )
    first = _condition(draft, "SuccessCriteriaMet" if complete else "FailureTarget", reason, message)
    ttl = found["spec"].get("ttlSecondsAfterFinished")
    if ttl is not None:
        draft.push(draft.now + (int(ttl) + 1) * SECOND, STIR, group_of(key))
    for owner in found["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "CronJob":
            above = ObjectKey("cronjobs.batch", key.namespace, str(owner["name"]))
            draft.push(draft.now, STIR, group_of(above))
    # The pods that still run go with the next look.
    draft.push(draft.now, STIR, group_of(key))
    conditions = {"conditions": [first, _condition(draft, kind, reason, message)]}
    return {**conditions, "completionTime": timestamp(draft.now)} if complete else conditions


def _condition(draft: Draft, kind: str, reason: str, message: str) -> Document:
    moment = timestamp(draft.now)
    return {
        "type": kind,
        "status": "True",
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def is_finished(found: Document) -> bool:
    return finish_of(found) is not None


def finish_of(found: Document) -> Document | None:
    """The condition that says how the Job ended."""
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            ended: Document = condition
            return ended
    return None


def _expire(draft: Draft, key: ObjectKey, found: Document) -> None:
    for pod in draft.pods_in(group_of(key)):
        if not pod.over:
            drop(draft, pod)
    ttl, ended = found["spec"].get("ttlSecondsAfterFinished"), finish_of(found)
    if ttl is not None and ended and draft.now - parsed(ended["lastTransitionTime"]) >= int(ttl) * SECOND:
        remove(draft, key)


def remove(draft: Draft, key: ObjectKey) -> None:
    """The Job with its pods, as its owner or its own time limit has it."""
    drop_pods(draft, key)
    draft.drop_object(key)


def _number(value: object, default: int) -> int:
    return default if value is None else int(str(value))


def _spans(numbers: set[int]) -> str:
    """`0-2,5`, as the status of an indexed Job has it."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
