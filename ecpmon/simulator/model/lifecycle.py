"""A pod's life: bound, created, running, ready; crashed, backing off, restarted."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model import happenings
from ecpmon.simulator.model.failures import Failure, FailureType
from ecpmon.simulator.model.happenings import KUBELET, SCHEDULER
from ecpmon.simulator.model.pods import Ended, Fault, Pod, PodPhase, Timer
from ecpmon.simulator.model.references import missing_variable, missing_volume
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import MINUTE, SECOND, Micros

FIRST_BACKOFF: Final[Micros] = 10 * SECOND
MAX_BACKOFF: Final[Micros] = 5 * MINUTE
BACKOFF_RESET: Final[Micros] = 10 * MINUTE  # a container that ran this long starts over at the first step
CRASH_AFTER: Final[Micros] = 2 * SECOND  # a doomed container lives this long after each restart
CREATING_SHARE: Final = 4  # a quarter of the start-up time passes before the container runs


LOOK_AGAIN: Final[Micros] = 10 * SECOND  # a kubelet looks at what it could not begin this often
PULL_TIME: Final[Micros] = 2 * SECOND  # a registry needs this long to say that it has no such image


def startup_of(draft: Draft, pod: Pod) -> Micros:
    """A deployment's present word counts, also for pods that exist already."""
    found = draft.deployments.get(pod.deployment)
    return found.spec.startup if found else pod.startup


def bind_and_start(draft: Draft, pod: Pod, node: str) -> None:
    """Bind a waiting pod; it is ready its start-up time later."""
    draft.bind(pod.meta.key, node)
    draft.addresses += 1
    due = draft.now + startup_of(draft, pod) // CREATING_SHARE
    draft.put_pod(
        replace(
            pod,
            node=node,
            reason="ContainerCreating",
            message="",
            timer=Timer.RUN,
            timer_due=due,
            address=draft.addresses,
            bound_at=draft.now,
        )
    )
    message = f"Successfully assigned {pod.meta.key} to {node}"
    tell(draft, pod, "Scheduled", message, component=SCHEDULER)


def tell(
    draft: Draft, pod: Pod, reason: str, message: str, *, component: str = KUBELET, warning: bool = False
) -> None:
    """An Event about a pod."""
    happenings.record(draft, "Pod", pod.meta, reason, message, component=component, warning=warning)


def _container(draft: Draft, pod: Pod) -> tuple[str, str]:
    """Name and image of the first container."""
    first = draft.manifest_of(pod)["spec"]["containers"][0]
    return str(first.get("name", "")), str(first.get("image", ""))


def on_run(draft: Draft, pod: Pod) -> None:
    if _held_back(draft, pod):
        return
    if pod.fault is Fault.PULL:
        _cannot_pull(draft, pod)
        return
    name, image = _container(draft, pod)
    tell(draft, pod, "Pulled", f'Container image "{image}" already present on machine')
    tell(draft, pod, "Started", f"Started container {name}")
    startup = startup_of(draft, pod)
    launch(draft, pod, startup - startup // CREATING_SHARE)


def _held_back(draft: Draft, pod: Pod) -> bool:
    """Whether a ConfigMap or Secret that the pod needs is not there; it is looked for again."""
    spec = draft.manifest_of(pod)["spec"]
    reason, message = "ContainerCreating", ""
    why = missing_volume(draft, pod.meta.namespace, spec)
    if why:
        tell(draft, pod, "FailedMount", why, warning=True)
    else:
        why = message = missing_variable(draft, pod.meta.namespace, spec)
        reason = "CreateContainerConfigError"
        if why:
            tell(draft, pod, "Failed", f"Error: {why}", warning=True)
    if why:
        due = draft.now + LOOK_AGAIN
        draft.put_pod(replace(pod, reason=reason, message=message, timer=Timer.RUN, timer_due=due))
    return bool(why)


def _cannot_pull(draft: Draft, pod: Pod) -> None:
    _, image = _container(draft, pod)
    message = f'failed to pull and unpack image "{image}": not found'
    tell(draft, pod, "Failed", f'Failed to pull image "{image}": {message}', warning=True)
    due = draft.now + PULL_TIME
    draft.put_pod(replace(pod, reason="ErrImagePull", message=message, timer=Timer.PULL, timer_due=due))


def on_pull_failed(draft: Draft, pod: Pod) -> None:
    """Wait before the image is pulled again."""
    _, image = _container(draft, pod)
    backoff = min(FIRST_BACKOFF << min(pod.backoff_step, 16), MAX_BACKOFF)
    message = f'Back-off pulling image "{image}"'
    tell(draft, pod, "BackOff", message)
    draft.put_pod(
        replace(
            pod,
            reason="ImagePullBackOff",
            message=message,
            backoff_step=pod.backoff_step + 1,
            timer=Timer.RUN,
            timer_due=draft.now + backoff,
        )
    )


def launch(draft: Draft, pod: Pod, until_ready: Micros) -> None:
    """The container starts now; a failure that holds lets it crash soon instead of becoming ready."""
    doomed = pod.fault is Fault.CRASH or doomed_by(draft, pod) is not None
    timer = Timer.CRASH if doomed else Timer.READY
    ready_since = None
    if pod.task and not doomed:
        timer, until_ready, ready_since = Timer.FINISH, pod.task, draft.now
    if timer is Timer.READY and pod.fault is Fault.UNREADY:
        timer = Timer.NONE
        message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
        tell(draft, pod, "Unhealthy", message, warning=True)
    draft.put_pod(
        replace(
            pod,
            phase=PodPhase.RUNNING,
            reason="Starting",
            message="",
            started_at=draft.now,
            ready_since=ready_since,
            timer=timer,
            timer_due=draft.now + (CRASH_AFTER if doomed else until_ready),
        )
    )


def on_ready(draft: Draft, pod: Pod) -> None:
    draft.put_pod(replace(pod, reason="", message="", ready_since=draft.now, timer=Timer.NONE))


def on_finish(draft: Draft, pod: Pod) -> None:
    """The container has done what it was started for."""
    _end(draft, pod, PodPhase.SUCCEEDED, "Completed", 0)


def _end(draft: Draft, pod: Pod, phase: PodPhase, reason: str, code: int) -> None:
    """The pod is over; it stays to be looked at, and what it used is free."""
    draft.release(pod)
    ended = Ended(pod.started_at or draft.now, draft.now, reason, code)
    draft.put_pod(
        replace(
            pod,
            phase=phase,
            reason=reason,
            message="",
            ready_since=None,
            timer=Timer.NONE,
            ended=ended,
            turned_at=draft.now,
        )
    )


def on_restart(draft: Draft, pod: Pod) -> None:
    if pod.fault is Fault.PULL:
        _cannot_pull(draft, pod)
        return
    name, _ = _container(draft, pod)
    tell(draft, pod, "Started", f"Started container {name}")
    launch(draft, replace(pod, restarts=pod.restarts + 1), startup_of(draft, pod))


def on_crash(draft: Draft, pod: Pod) -> None:
    cause = doomed_by(draft, pod)
    crash(draft, pod, cause.failure_type if cause else "Error")


def crash(draft: Draft, pod: Pod, cause: str) -> None:
    """The container dies now and is restarted after an exponential back-off, unless it is never to be."""
    if draft.manifest_of(pod)["spec"].get("restartPolicy") == "Never":
        _end(draft, pod, PodPhase.FAILED, "Error", 1)
        return
    rested = pod.ready_since is not None and draft.now - pod.ready_since >= BACKOFF_RESET
    step = 0 if rested else pod.backoff_step
    backoff = min(FIRST_BACKOFF << min(step, 16), MAX_BACKOFF)
    name, _ = _container(draft, pod)
    message = f"Back-off restarting failed container {name} in pod {pod.meta.name}"
    tell(draft, pod, "BackOff", message, warning=True)
    draft.put_pod(
        replace(
            pod,
            phase=PodPhase.CRASH_LOOP,
            reason="CrashLoopBackOff",
            message=f"back-off {backoff // SECOND}s restarting failed container: {cause}",
            ready_since=None,
            backoff_step=step + 1,
            timer=Timer.RESTART,
            timer_due=draft.now + backoff,
            ended=_ended(draft, pod, cause),
        )
    )


def _ended(draft: Draft, pod: Pod, cause: str) -> Ended | None:
    if pod.started_at is None or pod.phase is not PodPhase.RUNNING:
        return pod.ended
    killed = cause == "OOMKilled"
    return Ended(pod.started_at, draft.now, "OOMKilled" if killed else "Error", 137 if killed else 1)


def lose(draft: Draft, pod: Pod) -> None:
    """The pod's node died: nothing is known of it until the node returns or the pod is replaced."""
    message = f"node {pod.node} is not ready"
    draft.put_pod(replace(pod, reason="NodeLost", message=message, ready_since=None, timer=Timer.NONE))


def doomed_by(draft: Draft, pod: Pod) -> Failure | None:
    """The active failure that keeps `pod` from running, if any."""
    for failure in draft.active_failures(pod.tenant_id):
        if pod.meta.key in failure.pods or (failure.severity >= 1 and strikes(failure, pod)):
            return failure
    return None


def strikes(failure: Failure, pod: Pod) -> bool:
    """Whether a crash failure is about pods of this kind (pods made after its start included)."""
    if failure.target_service not in (None, pod.service):
        return False
    if failure.failure_type is FailureType.GPU_FAILURE:
        return pod.resources.gpu > 0
    return failure.failure_type is FailureType.POD_CRASH
