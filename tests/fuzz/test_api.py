"""No request breaks an answer: every route, with whatever may stand in a request.

Seeded: the same requests each time. `make test` sends few to each route, `make test-long` many, by the clock, and for
`LONGEST` at most: how many they were is told at its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecpmon.api.application import route_table
from ecpmon.api.routing import Route
from ecpmon.openapi.declaring import Text
from ecpmon.wire import is_storable
from tests.fuzz import nasty
from tests.fuzz.bodies import written
from tests.fuzz.conftest import Service, settle
from tests.fuzz.requests import Aim, request_to
from tests.fuzz.sending import LONGEST, SENT, Sender
from tests.fuzz.served import SECONDS, Judge, check_error, check_page

TABLE = [route for route in route_table() if not route.socket]
FEW, MANY = 12, 200
# Bodies that are read without a model.
EXTRA = (
    {"metrics": {"cpu_usage": 1}}, [{"metrics": {"up": 1, "cpu": 2}}, {"metrics": {"custom.x": 3}}],
    {"kind": "latency", "target": 0.9, "threshold_ms": 100}, {"objectives": []},
)  # fmt: skip
# A month is replayed minute by minute, off the loop: its length is bounded, and it takes seconds.
SLOW = {"/api/v1/tenants/{tenant_id}/alerts/test": 10.0}


# Of months that are closed.
SELDOM = {"/status/{page}/statements/{statement}"}


def is_page(route: Route) -> bool:
    """Whether what is not there is told on a page."""
    return isinstance(route.contract.answers.get(404), Text)


def examples(count: int) -> settings:
    return settings(
        max_examples=count, derandomize=True, deadline=None, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def fuzz(service: Service, route: Route, count: int, longest: float | None = None) -> Sender:
    """`longest`: by the clock, for so many seconds at most."""
    bound = SLOW.get(route.path, SECONDS)
    judge = Judge(service.served, service.watched, by_clock=longest is not None, bound=bound)
    aim = Aim(route.method, route.path, route.handler, service.tenant(), service.token, EXTRA, route.contract)
    sender = Sender(longest)

    @examples(count)
    @given(request_to(aim))
    def check(sent: bytes) -> None:
        if sender.goes_on():
            service.clock.advance(1)
            judge(sent, check_page if is_page(route) else check_error)

    check()
    # What an agent sends and will never do is 400, whatever it is.
    reached = judge.reached + (judge.statuses.get(400, 0) if route.agent else 0)
    assert reached >= sender.sent // 5, judge.statuses
    # Of what was refused nothing is there to be read.
    if route.method != "GET" and (longest is not None or judge.taken):
        read_everything(service, aim.known)
    if route.path == "/api/v1/settings":
        service.as_configured()
    return sender


def read_everything(service: Service, known: Mapping[str, Sequence[str]], status: int | None = None) -> None:
    """What was stored stays readable: every route of a tenant that reads answers, with `status` if it is given."""
    judge = Judge(service.served, service.watched)
    for route in TABLE:
        if route.method == "GET" and (route.of_tenant or status):
            service.clock.advance(1)
            path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]][0], route.path)
            reply = judge(service.get(path), check_page if is_page(route) else check_error)
            assert status in (None, reply.status) or route.path in SELDOM, (path, reply)


@pytest.fixture(scope="module")
def service(fuzz_service: Service) -> Service:
    return fuzz_service


@pytest.mark.parametrize("route", TABLE, ids=name_of)
def test_no_request_breaks_a_route(service: Service, route: Route) -> None:
    fuzz(service, route, FEW)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("route", TABLE, ids=name_of)
def test_no_request_breaks_a_route_at_length(
    service: Service, route: Route, record_property: Callable[[str, object], None]
) -> None:
    record_property(SENT, fuzz(service, route, MANY, LONGEST).told(MANY))


def _requests_like() -> st.SearchStrategy[bytes]:
    """Bytes that begin like HTTP, and mostly are not."""
    return st.builds(
        lambda first, rest, end: b"\r\n".join([first, *rest]) + b"\r\n\r\n" + end,
        st.sampled_from(nasty.LINES),
        st.lists(st.sampled_from(nasty.HEADER_LINES), max_size=4),
        st.sampled_from(nasty.ENDS),
    )


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
    """One at a time, whatever else is drawn: refused or taken, never broken."""
    name = service.tenant()["tenant_id"][0]
    tenant = {"tenant_id": "x", "name": "x", "preset": "small", "description": "d", "time_zone": "UTC"}
    bodies = {
        ("POST", "/api/v1/tenants/"): {**tenant, "service_requirements": {"chatbot": 1}},
        ("POST", f"/api/v1/tenants/{name}/deploy"): {"method": "simulator", "reason": "r", "dry_run": True},
        ("POST", f"/api/v1/tenants/{name}/deployment-status"): {
            "status": "failed",
            "message": "m",
            "deployed_at": "",
        },
        ("POST", f"/api/v1/tenants/{name}/alerts"): {
            "alert_name": "n",
            "condition": "up == 0",
            "duration": "1m",
        },
    }
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


FORMS = (
    "sla/report?format=csv", "sla/report?format=html", "sla/report?format=pdf", "manifest?format=json", "manifest",
    "objectives?format=openslo", "objectives/fast?format=openslo",
)  # fmt: skip


def test_a_text_that_was_taken_can_be_shown_in_every_form(service: Service) -> None:
    known, judge = service.tenant(), Judge(service.served, service.watched)
    base = f"/api/v1/tenants/{known['tenant_id'][0]}"
    odd = [t for t in nasty.TEXTS if not (t.isascii() and t.isprintable()) and is_storable(t)]
    for text in (*odd, "<b>&amp;\\u0041%s{0}$x`", "=1+1"):
        service.clock.advance(1)
        service.ask("PUT", base, {"name": text[:200], "description": text[:200]}, status=200)
        slo = {"kind": "latency", "target": 0.9, "threshold_ms": 200, "description": text[:200]}
        service.ask("PUT", f"{base}/objectives/fast", slo, status=200)
        for form in FORMS:
            assert judge(service.get(f"{base}/{form}")).status == 200


def test_afterwards_every_job_runs_and_a_tenant_is_answered_everywhere(service: Service) -> None:
    known = service.tenant()
    failures = service.runtime.telemetry.job_failures
    service.served.run(settle(service.runtime))
    assert [
        s for metric in failures.collect() for s in metric.samples if s.name.endswith("_total") and s.value
    ] == []
    assert service.watched.taken() == []
    read_everything(service, known, status=200)
