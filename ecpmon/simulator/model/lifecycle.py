"""A pod's life: bound, created, running, ready; crashed, backing off, restarted."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model.failures import Failure, FailureType
from ecpmon.simulator.model.objects import Pod, PodPhase, Timer
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import MINUTE, SECOND, Micros

FIRST_BACKOFF: Final[Micros] = 10 * SECOND
MAX_BACKOFF: Final[Micros] = 5 * MINUTE
BACKOFF_RESET: Final[Micros] = 10 * MINUTE  # a container that ran this long starts over at the first step
CRASH_AFTER: Final[Micros] = 2 * SECOND  # a doomed container lives this long after each restart
CREATING_SHARE: Final = 4  # a quarter of the start-up time passes before the container runs


def startup_of(draft: Draft, pod: Pod) -> Micros:
    return draft.deployments[pod.deployment].spec.startup


def bind_and_start(draft: Draft, pod: Pod, node: str) -> None:
    """Bind a waiting pod; it is ready its start-up time later."""
    draft.bind(pod.meta.key, node)
    due = draft.now + startup_of(draft, pod) // CREATING_SHARE
    draft.put_pod(
        replace(pod, node=node, reason="ContainerCreating", message="", timer=Timer.RUN, timer_due=due)
    )


def on_run(draft: Draft, pod: Pod) -> None:
    startup = startup_of(draft, pod)
    launch(draft, pod, startup - startup // CREATING_SHARE)


def launch(draft: Draft, pod: Pod, until_ready: Micros) -> None:
    """The container starts now; a failure that holds lets it crash soon instead of becoming ready."""
    doomed = doomed_by(draft, pod) is not None
    draft.put_pod(
        replace(
            pod,
            phase=PodPhase.RUNNING,
            reason="Starting",
            message="",
            started_at=draft.now,
            ready_since=None,
            timer=Timer.CRASH if doomed else Timer.READY,
            timer_due=draft.now + (CRASH_AFTER if doomed else until_ready),
        )
    )


def on_ready(draft: Draft, pod: Pod) -> None:
    draft.put_pod(replace(pod, reason="", message="", ready_since=draft.now, timer=Timer.NONE))


def on_restart(draft: Draft, pod: Pod) -> None:
    launch(draft, replace(pod, restarts=pod.restarts + 1), startup_of(draft, pod))


def on_crash(draft: Draft, pod: Pod) -> None:
    cause = doomed_by(draft, pod)
    crash(draft, pod, cause.failure_type if cause else "Error")


def crash(draft: Draft, pod: Pod, cause: str) -> None:
    """The container dies now and is restarted after an exponential back-off."""
    rested = pod.ready_since is not None and draft.now - pod.ready_since >= BACKOFF_RESET
    step = 0 if rested else pod.backoff_step
    backoff = min(FIRST_BACKOFF << min(step, 16), MAX_BACKOFF)
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
        )
    )


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
