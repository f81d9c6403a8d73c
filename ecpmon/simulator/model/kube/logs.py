"""A container's log: only what the model knows, and always the same lines for the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.objects import Deployment
from ecpmon.simulator.model.pods import Pod, PodPhase
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import MINUTE, Micros, rfc3339
from ecpmon.simulator.model.workload import BASE_ERRORS, REQUESTS_PER_SESSION, load_seconds, rhythm

_MAX_LINES: Final = 1000
Line = tuple[Micros, str]


def pod_log(
    state: ClusterState, pod_key: ObjectKey, *, since: Micros | None, tail: int | None, previous: bool
) -> list[str]:
    """The lines after `since`, the last `tail` of them; of the run before with `previous`."""
    path = f"{pod_key.namespace}/{pod_key.name}"
    pod = state.pods.get(path) or state.terminating.get(path)
    if pod is None:
        return []
    lines = list(_last_run(pod) if previous else _this_run(state, pod))[-_MAX_LINES:]
    if since is not None:
        lines = [line for line in lines if line[0] > since]
    if tail is not None:
        lines = lines[-tail:] if tail > 0 else []
    return [f"{rfc3339(at)} {text}" for at, text in lines]


def _last_run(pod: Pod) -> Iterator[Line]:
    if pod.ended is not None:
        yield from _start(pod, pod.ended.start)
        level = "ERROR" if pod.ended.exit_code else "INFO"
        yield pod.ended.end, f"{level} terminated: {pod.ended.reason}, exit code {pod.ended.exit_code}"


def _start(pod: Pod, at: Micros) -> Iterator[Line]:
    yield at, f"INFO starting {pod.service or pod.meta.name} in pod {pod.meta.name}, restart {pod.restarts}"


def _this_run(state: ClusterState, pod: Pod) -> Iterator[Line]:
    if pod.started_at is None:
        return
    if pod.phase is PodPhase.CRASH_LOOP or pod.over:
        yield from _last_run(pod)
        return
    yield from _start(pod, pod.started_at)
    if pod.ready_since is None:
        return
    yield pod.ready_since, "INFO ready: GET /ready answers 200"
    deployment = state.deployments.get(pod.deployment)
    if deployment is not None:
        yield from _served(state, pod.ready_since, deployment)


def _served(state: ClusterState, ready: Micros, deployment: Deployment) -> Iterator[Line]:
    """One line a minute about the pod's share of the service's requests."""
    shape = rhythm(state.seed, deployment.tenant_id, deployment.spec.name)
    scale = deployment.spec.sessions * REQUESTS_PER_SESSION / max(1, deployment.spec.replicas)
    first = max(ready // MINUTE + 1, state.now // MINUTE - _MAX_LINES)
    for minute in range(first, state.now // MINUTE):
        start, end = minute * MINUTE, (minute + 1) * MINUTE
        requests = round(scale * (load_seconds(shape, end) - load_seconds(shape, start)))
        failed = round(requests * BASE_ERRORS)
        yield end, f"INFO served {requests} requests in the last minute, {failed} failed"
