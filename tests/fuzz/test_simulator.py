"""No request breaks the simulator: its own calls answer in the one error shape, its Kubernetes API in `Status`es."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.simulator import schemas, server
from tests.fuzz import nasty
from tests.fuzz.bodies import body_of
from tests.fuzz.conftest import simulator
from tests.fuzz.requests import Aim, request_to
from tests.fuzz.sending import LONGEST, SENT, Sender
from tests.fuzz.served import SECONDS, Judge, Reply, Served, Watched, check_error, watching
from tests.fuzz.test_api import examples

FEW, MANY = 12, 200
KNOWN = {
    "tenant_id": ["fuzzed", "fuzzed-2"], "name": ["chatbot"], "target_service": ["chatbot"],
    "scenario": ["short_outage"], "to": ["2026-03-02T09:00:00Z"], "from": ["2026-03-02T08:00:00Z"],
    "file": ["docs.js"],
}  # fmt: skip
SERVICE = {
    "name": "chatbot",
    "replicas": 1,
    "cpu_millicores": 500,
    "memory_mib": 256,
    "gpu": 0,
    "sessions": 10,
}
BODIES = (
    {"services": [SERVICE]}, {"failure_type": "pod_crash", "duration_seconds": 60, "severity": 0.5},
    {"scenario": "short_outage"}, {"steps": [{"at": 10, "failure_type": "pod_crash", "duration": 5}]},
    {"seconds": 1.5}, {"to": "2026-03-02T10:00:00Z"}, {"restarted_at": "2026-03-02T08:00:00Z"},
    {"tenant_id": "fuzzed", "source": "x", "metrics": {"a": 1.0}},
    {"duration_seconds": 120, "interval_seconds": 60, "tenants": ["fuzzed"]},
)  # fmt: skip
POD = {
    "containers": [{"name": "c", "image": "x:1", "resources": {"requests": {"cpu": "10m", "memory": "1Mi"}}}]
}
OBJECTS: tuple[tuple[str, Any], ...] = (
    ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}),
    ("/api/v1/namespaces/default/configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}),
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
ROUTES = server.route_table()
MEDIA = (
    "application/json", "application/yaml", "application/merge-patch+json", "application/json-patch+json", "text/plain",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf",
    "\xff",
)  # fmt: skip
QUERIES = (
    "", "?fieldManager=x", "?labelSelector=a%20in%20(", "?fieldSelector=%ff", "?limit=9999999999999999999999",
    "?continue=%00", "?dryRun=All", "?gracePeriodSeconds=-1e9", "?resourceVersion=\xff", "?fieldValidation=Strict",
    "?timeoutSeconds=99999999999999999999&watch=1&resourceVersion=x", "?a=%ED%A0%80",
)  # fmt: skip
NAMES = (
    "",
    "",
    "/d",
    "/c",
    "/h",
    "/%ff",
    "/\xff",
    "/d/scale",
    "/d/status",
    "/../x",
    "/" + "a" * 300,
    "/d/\u00e9",
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Watched]]:
    with watching() as watched, simulator(tmp_path_factory.mktemp("simulator")) as served:
        for name in KNOWN["tenant_id"]:
            status, _ = served.ask("PUT", f"/api/v1/tenants/{name}", {"services": [SERVICE]})
            assert status == 201
        yield served, watched


def is_status(reply: Reply) -> None:
    """A failure as Kubernetes tells it."""
    document = json.loads(reply.body.decode("utf-8"))
    assert (document["kind"], document["status"], document["code"]) == ("Status", "Failure", reply.status), (
        reply
    )


def either(reply: Reply) -> None:
    """In Kubernetes' paths aiohttp's own refusals have our shape."""
    (is_status if b'"Status"' in reply.body else check_error)(reply)


def fuzz_call(judged: tuple[Served, Watched], route: Any, count: int, longest: float | None = None) -> Sender:
    """`longest`: by the clock, for so many seconds at most."""
    # A month of history is streamed for as long as it takes.
    bound = 60.0 if route.path == "/api/v1/history" else SECONDS
    judge, sender = Judge(*judged, by_clock=longest is not None, bound=bound), Sender(longest)
    aim = Aim(route.method, route.path, route.handler, KNOWN, "", BODIES, route.contract)

    @examples(count)
    @given(request_to(aim))
    def check(sent: bytes) -> None:
        if sender.goes_on():
            judge(sent)

    check()
    assert judge.reached >= sender.sent // 5, judge.statuses
    return sender


def fuzz_kubernetes(judged: tuple[Served, Watched], count: int, longest: float | None = None) -> Sender:
    judge, sender = Judge(*judged, by_clock=longest is not None), Sender(longest)
    thing = st.sampled_from(OBJECTS)
    method = st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "BREW"))
    tail, media = st.tuples(st.sampled_from(NAMES), st.sampled_from(QUERIES)), st.sampled_from(MEDIA)

    @examples(count)
    @given(method, thing, tail.map("".join), media, st.sampled_from(nasty.HEADER_VALUES), st.data())
    def check(method: str, of: Any, tail: str, media: str, accept: bytes, data: st.DataObject) -> None:
        path, thing = of
        if not sender.goes_on():
            return
        body = data.draw(body_of(st.just(thing))) if method in ("POST", "PUT", "PATCH") else b""
        head = f"{method} {path}{tail} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {media}\r\n"
        head += f"Content-Length: {len(body)}\r\nAccept: "
        judge(head.encode("latin-1") + accept + b"\r\n\r\n" + body, either)

    check()
    return sender


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_no_request_breaks_a_call_of_the_simulator(judged: tuple[Served, Watched], route: Any) -> None:
    fuzz_call(judged, route, FEW)


def test_no_request_breaks_the_simulators_kubernetes_api(judged: tuple[Served, Watched]) -> None:
    fuzz_kubernetes(judged, 20 * FEW)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_no_request_breaks_a_call_of_the_simulator_at_length(
    judged: tuple[Served, Watched], route: Any, record_property: Callable[[str, object], None]
) -> None:
    record_property(SENT, fuzz_call(judged, route, MANY, LONGEST).told(MANY))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_request_breaks_the_simulators_kubernetes_api_at_length(
    judged: tuple[Served, Watched], record_property: Callable[[str, object], None]
) -> None:
    record_property(SENT, fuzz_kubernetes(judged, 20 * MANY, 10 * LONGEST).told(20 * MANY))


def test_the_models_of_the_simulators_bodies_are_all_tried() -> None:
    models = {
        m for r in ROUTES for m in Aim(r.method, r.path, r.handler, KNOWN, contract=r.contract).models()
    }
    bodies = {v for v in vars(schemas).values() if isinstance(v, type) and v.__name__.endswith("Body")}
    assert bodies - {schemas.ServiceBody} <= models  # which is a part of another


@pytest.mark.parametrize("path", ["/api/v1/tenants/fuzzed", "/api/v1/namespaces/default/configmaps/c"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "\xff"])
def test_a_body_that_says_it_is_packed_is_refused(
    judged: tuple[Served, Watched], path: str, encoding: str
) -> None:
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    assert Judge(*judged)(head.encode("latin-1") + b"{}", either).status == 415


@pytest.mark.parametrize("path", ["/kubeconfig", "/api", "/apis", "/docs"])
def test_an_answer_that_names_its_host_can_be_written(judged: tuple[Served, Watched], path: str) -> None:
    for host in (b"\xff", b"", b"a b", b"[::1", b'"'):
        Judge(*judged)(
            f"GET {path} HTTP/1.1\r\nConnection: close\r\nHost: ".encode() + host + b"\r\n\r\n", either
        )
