"""No request breaks the simulator: its own calls answer in the one error shape, its Kubernetes API in `Status`es."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.simulator import schemas, server
from tests.fuzz import nasty
from tests.fuzz.bodies import body_of
from tests.fuzz.requests import Aim, request_to
from tests.fuzz.served import Judge, Reply, Served, Watched, check_error, watching
from tests.fuzz.test_api import examples

FEW, MANY = 15, 400
KNOWN = {"tenant_id": ["fuzzed", "fuzzed-2"], "name": ["chatbot"], "target_service": ["chatbot"], "scenario": ["short_outage"],
         "to": ["2026-03-02T09:00:00Z"], "from": ["2026-03-02T08:00:00Z"]}  # fmt: skip
SERVICE = {"name": "chatbot", "replicas": 1, "cpu_millicores": 500, "memory_mib": 256, "gpu": 0, "sessions": 10}
BODIES = (
    {"services": [SERVICE]}, {"failure_type": "pod_crash", "duration_seconds": 60, "severity": 0.5},
    {"scenario": "short_outage"}, {"steps": [{"at": 10, "failure_type": "pod_crash", "duration": 5}]},
    {"seconds": 1.5}, {"to": "2026-03-02T10:00:00Z"}, {"restarted_at": "2026-03-02T08:00:00Z"},
    {"tenant_id": "fuzzed", "source": "x", "metrics": {"a": 1.0}},
    {"duration_seconds": 120, "interval_seconds": 60, "tenants": ["fuzzed"]},
)  # fmt: skip
POD = {"containers": [{"name": "c", "image": "x:1", "resources": {"requests": {"cpu": "10m", "memory": "1Mi"}}}]}
OBJECTS: tuple[tuple[str, Any], ...] = (
    ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}),
    ("/api/v1/namespaces/default/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}),
    ("/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                                             "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}}),
    ("/apis/apps/v1/namespaces/default/deployments", {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}},
                 "template": {"metadata": {"labels": {"app": "d"}}, "spec": POD}}}),
    ("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3}}),
)  # fmt: skip
ROUTES = [route for route in server._ROUTES]


@pytest.fixture(scope="module")
def judged(fuzz_simulator: Served) -> Iterator[tuple[Served, Watched]]:
    with watching() as watched:
        for name in KNOWN["tenant_id"]:
            status, _ = fuzz_simulator.ask("PUT", f"/api/v1/tenants/{name}", {"services": [SERVICE]})
            assert status == 201
        yield fuzz_simulator, watched


def is_status(reply: Reply) -> None:
    """A failure as Kubernetes tells it."""
    document = json.loads(reply.body.decode("utf-8"))
    assert (document["kind"], document["status"], document["code"]) == ("Status", "Failure", reply.status), reply


def either(reply: Reply) -> None:
    """In Kubernetes' paths aiohttp's own refusals have our shape."""
    (is_status if b'"Status"' in reply.body else check_error)(reply)


def fuzz_call(judged: tuple[Served, Watched], route: Any, count: int, *, by_clock: bool) -> None:
    judge = Judge(*judged, by_clock=by_clock)
    method, path, handler, _ = route
    aim = Aim(method, path, handler, KNOWN, "", BODIES)

    @examples(count)
    @given(request_to(aim))
    def check(sent: bytes) -> None:
        judge(sent)

    check()


def fuzz_kubernetes(judged: tuple[Served, Watched], count: int, *, by_clock: bool) -> None:
    judge = Judge(*judged, by_clock=by_clock)
    kinds = ("application/json", "application/yaml", "application/merge-patch+json", "application/json-patch+json",
             "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf",
             "text/plain", "\xff")  # fmt: skip
    queries = ("", "?fieldManager=x", "?labelSelector=a%20in%20(", "?fieldSelector=%ff", "?limit=9999999999999999999999",
               "?continue=%00", "?dryRun=All", "?gracePeriodSeconds=-1e9", "?resourceVersion=\xff", "?watch=1&timeoutSeconds=0",
               "?timeoutSeconds=99999999999999999999&watch=1&resourceVersion=x", "?fieldValidation=Strict", "?a=%ED%A0%80")  # fmt: skip
    names = ("", "", "/d", "/c", "/h", "/%ff", "/\xff", "/d/scale", "/d/status", "/../x", "/" + "a" * 300, "/d/\u00e9")

    @examples(count)
    @given(
        st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "BREW")), st.sampled_from(OBJECTS),
        st.sampled_from(names), st.sampled_from(queries), st.sampled_from(kinds), st.sampled_from(nasty.HEADER_VALUES), st.data(),
    )  # fmt: skip
    def check(method: str, of: Any, name: str, query: str, kind: str, accept: bytes, data: st.DataObject) -> None:
        path, thing = of
        body = data.draw(body_of(st.just(thing))) if method in ("POST", "PUT", "PATCH") else b""
        head = f"{method} {path}{name}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(body)}\r\nAccept: "
        judge(head.encode("latin-1") + accept + b"\r\n\r\n" + body, either)

    check()


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r[0]} {r[1]}")
def test_no_request_breaks_a_call_of_the_simulator(judged: tuple[Served, Watched], route: Any) -> None:
    fuzz_call(judged, route, FEW, by_clock=False)


def test_no_request_breaks_the_simulators_kubernetes_api(judged: tuple[Served, Watched]) -> None:
    fuzz_kubernetes(judged, 20 * FEW, by_clock=False)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_request_breaks_the_simulator_at_length(judged: tuple[Served, Watched]) -> None:
    for route in ROUTES:
        fuzz_call(judged, route, MANY, by_clock=True)
    fuzz_kubernetes(judged, 20 * MANY, by_clock=True)


def test_the_models_of_the_simulators_bodies_are_all_tried() -> None:
    models = {m for r in ROUTES for m in Aim(r[0], r[1], r[2], KNOWN).models()}
    asked = {v for v in vars(schemas).values() if isinstance(v, type) and v.__name__.endswith("Body")} - {schemas.ServiceBody}
    assert asked <= models
