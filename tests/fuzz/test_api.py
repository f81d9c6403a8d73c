"""No request breaks an answer: every route, with whatever may stand in a request.

Seeded: the same requests each time. `make test` sends few to each route, `make test-long` many, by the clock.
"""

from __future__ import annotations

import re
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecpmon.api.application import route_table
from ecpmon.api.routing import Route
from tests.fuzz import nasty
from tests.fuzz.bodies import written
from tests.fuzz.conftest import Service, settle
from tests.fuzz.requests import Aim, request_to
from tests.fuzz.served import Judge

TABLE = [route for route in route_table() if not route.socket]
FEW, MANY = 15, 400
# Bodies that are read without a model.
EXTRA = (
    {"metrics": {"cpu_usage": 1}}, [{"metrics": {"up": 1, "cpu": 2}}, {"metrics": {"custom.x": 3}}],
    {"kind": "latency", "target": 0.9, "threshold_ms": 100}, {"objectives": []},
)  # fmt: skip


def examples(count: int) -> settings:
    return settings(
        max_examples=count, derandomize=True, deadline=None, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def fuzz(service: Service, route: Route, count: int, *, by_clock: bool) -> Judge:
    judge = Judge(service.served, service.watched, by_clock=by_clock)
    aim = Aim(route.method, route.path, route.handler, service.tenant(), service.token, EXTRA)

    @examples(count)
    @given(request_to(aim))
    def check(sent: bytes) -> None:
        service.clock.advance(1)
        judge(sent)

    check()
    return judge


@pytest.fixture(scope="module")
def service(fuzz_service: Service) -> Service:
    return fuzz_service


@pytest.mark.parametrize("route", TABLE, ids=name_of)
def test_no_request_breaks_a_route(service: Service, route: Route) -> None:
    fuzz(service, route, FEW, by_clock=False)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("route", TABLE, ids=name_of)
def test_no_request_breaks_a_route_at_length(service: Service, route: Route) -> None:
    fuzz(service, route, MANY, by_clock=True)


def _requests_like() -> st.SearchStrategy[bytes]:
    """Bytes that begin like HTTP, and are not."""
    line = st.sampled_from((b"GET / HTTP/1.1", b"GET /health HTTP/1.1", b"POST /api/v1/tenants/ HTTP/1.1", b"\x16\x03\x01",
                            b"GET /health HTTP/2.0", b"get /health http/1.1", b"GET  /health  HTTP/1.1", b"OPTIONS * HTTP/1.1",
                            b"CONNECT x:1 HTTP/1.1", b"GET http://[::1 HTTP/1.1", b"GET //\xff HTTP/1.1", b"PRI * HTTP/2.0"))  # fmt: skip
    header = st.sampled_from((b"Host: x", b"Host: \xff", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 5, 6",
                              b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"Expect: 100-continue", b"Expect: x",
                              b"Connection: upgrade\r\nUpgrade: websocket", b"Sec-WebSocket-Key: x", b": x", b"X", b" X: y",
                              b"X: " + b"a" * 9_000, b"X: a\x00", b"X: \x7f", b"Upgrade: h2c", b"Connection: close"))  # fmt: skip
    end = st.sampled_from(
        (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"\x00" * 50, b"0\r\n\r\n")
    )
    return st.builds(
        lambda first, rest, body: b"\r\n".join([first, *rest]) + b"\r\n\r\n" + body,
        line, st.lists(header, max_size=4), end,
    )  # fmt: skip


def test_what_is_not_http_is_refused_in_the_one_shape(service: Service) -> None:
    judge = Judge(service.served, service.watched)
    sealed = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    @examples(150)
    @given(_requests_like())
    def check(sent: bytes) -> None:
        # What waits for more is ended by another request, or by nonsense that cannot be one.
        judge(sent + sealed + b"\x00 no HTTP\r\n\r\n")

    check()
    assert judge.statuses.get(400)


def test_half_a_surrogate_pair_and_its_like_in_every_field_of_every_body(service: Service) -> None:
    """The issue's examples: each value in each field of each model, one at a time, is refused or taken, never broken."""
    name = service.tenant()["tenant_id"][0]
    bodies = {
        ("POST", "/api/v1/tenants/"): {"tenant_id": "x", "name": "x", "preset": "small", "description": "d",
                                       "service_requirements": {"chatbot": 1}, "time_zone": "UTC"},
        ("POST", f"/api/v1/tenants/{name}/deploy"): {"method": "simulator", "reason": "r", "force": True, "dry_run": True},
        ("POST", f"/api/v1/tenants/{name}/deployment-status"): {"status": "completed", "message": "m", "deployed_at": "x"},
        ("POST", f"/api/v1/tenants/{name}/alerts"): {"alert_name": "n", "condition": "up == 0", "duration": "1m"},
    }  # fmt: skip
    judge = Judge(service.served, service.watched)
    for (method, path), body in bodies.items():
        for field in body:
            for value in (
                "\ud800",
                "\x00",
                99999999999999999999999,
                "0001-01-01T00:00:00+14:00",
                nasty.nested(600),
            ):
                content = written({**body, field: value}, escaped=True)
                head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(content)}\r\n"
                head += f"Authorization: Bearer {service.token}\r\n\r\n"
                service.clock.advance(1)
                judge(head.encode() + content)


def test_afterwards_every_job_runs_and_a_tenant_is_answered_everywhere(service: Service) -> None:
    known = service.tenant()
    failures = service.runtime.telemetry.job_failures
    service.served.run(settle(service.runtime))
    assert [
        s for metric in failures.collect() for s in metric.samples if s.name.endswith("_total") and s.value
    ] == []
    for route in TABLE:
        if route.method == "GET" and not route.path.startswith("/docs"):
            path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]][0], route.path)
            service.ask("GET", path, status=200)
    assert service.watched.taken() == []
