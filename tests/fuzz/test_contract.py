"""The examples of the document are what is answered, and every other answer is as it says: schemathesis over the whole
API, by requests that fit `/openapi.json` and by requests that do not, alone and in sequences, all its checks. No answer
is a 5xx.

Seeded: the same requests each time. `make test` sends few to each route, `make test-long` as many as a quarter of an
hour has time for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from ecpmon.api.openapi import recorded
from ecpmon.api.remote_write import PATHS
from ecpmon.wire import rfc3339
from tests.acceptance.world import ManualClock
from tests.audited import LOGGED
from tests.fuzz import outside
from tests.fuzz.conftest import Service, serving, simulator
from tests.fuzz.served import Served
from tests.fuzz.story import BEGINS, NAME, STORY, Heard, Step
from tests.waiting import PATIENCE

# What the document says of a request is necessary, and not always enough: a time may lie in the future, a condition
# may name no metric, two fields may contradict each other. Such requests are refused by 422, which is documented.
ACCEPTED: Final = ["2xx", "304", "401", "403", "404", "409", "422"]
# Samples that cannot be taken are counted in the answer, and cost no others: `contract_hooks` looks whether they are.
# Of bytes the document says nothing but that they are: made-up ones are no message, and 400.
MESSAGES: Final = tuple(f"POST {path}" for path in (*PATHS, "/v1/metrics"))
PARTLY: Final = ("POST /api/v1/tenants/{tenant_id}/monitoring", "POST /api/v1/webhooks/tenant-alert")


RECORDED: Final = Path(recorded.__file__).with_name("recorded.json")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What is another each time, and what is shown for it.
_RANDOM: Final = (
    (re.compile(r"((?:dep|ci|sim-deploy|del)-)[0-9a-f]{12}"), r"\g<1>0f3c1b2a4d5e"),
    (re.compile(r"ecp_[\w-]{43}"), "ecp_" + "x" * 43),
    (re.compile(r"whsec_[\w+/=]+"), "whsec_" + "A" * 43 + "="),
    (re.compile(r"f-[0-9a-f]{12}"), "f-0f3c1b2a4d5e"),
    (re.compile(r"req-[0-9a-f]{12}"), "req-0f3c1b2a4d5e"),
    # The simulator's clock stands at the present.
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "2026-02-10T10:00:00.000000Z"),
    (re.compile(r'"0\.\d{3}TB"'), '"0.393TB"'),
    (re.compile(r'"fuzz"'), '"operations"'),
    (re.compile(r"127\.0\.0\.1:\d+"), "simulator.example:6360"),
)


_MEASURED: Final = {"response_time": 12.5, "connections": 7}
# Not for good, in the story.
_DRY: Final = ("POST /api/v1/tenants/{tenant_id}/deploy",)


def advancing(clock: ManualClock) -> Any:
    @web.middleware
    async def advanced(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        clock.advance(1)  # so that rates are not used up
        answer: web.StreamResponse = await handler(request)
        return answer

    return advanced


@pytest.fixture(scope="module")
def service(make_migrated: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # A simulator of its own: what others deploy would stand in the figures of the cluster.
    with simulator(tmp_path_factory.mktemp("story")) as own:
        folder = tmp_path_factory.mktemp("deploying")
        with serving(make_migrated, own, advancing, **every_way_to_deploy(own, folder)) as made:
            yield made


def every_way_to_deploy(simulator: Served, folder: Path) -> dict[str, str]:
    """Settings by which none is 503 for want of them. What is asked for is not carried out here."""
    kubeconfig = folder / "kubeconfig"
    with urlopen(f"{simulator.url}/kubeconfig") as answer:
        kubeconfig.write_bytes(answer.read())
    return {
        "kubeconfig": str(kubeconfig),
        "gitops_url": f"file://{folder}/manifests.git",
        "gitops_dir": str(folder / "clone"),
    }


def told(step: Step, service: Service, kept: dict[str, str]) -> Any:
    """The answer of a step. What its `keeps` names is kept."""
    if step.at is not None:
        service.clock.set(step.at)
    path = filled(step.path, kept)
    answer = service.ask(
        step.method, path + (f"?{step.query}" if step.query else ""), step.body, status=step.status
    )
    for name, keys in step.keeps.items():
        found = answer
        for key in keys:
            found = found[key]
        kept[name] = str(found)
    return answer


def check_log(service: Service, changed: Mapping[str, str]) -> None:
    """By the moment of each request: who changes something is in the audit log, and nobody else is."""
    found: dict[str, set[str]] = {}
    for entry in service.ask("GET", "/api/v1/audit?limit=200&actor=fuzz", status=200)["entries"]:
        found.setdefault(entry["at"], set()).add(entry["action"])
    for at, route in changed.items():
        assert found.get(at, set()) <= {*LOGGED.get(route, ())}, route
        assert bool(found.get(at)) is (route in LOGGED and route not in _DRY), route


def note(step: Step, answer: Any, found: dict[str, dict[str, Any]]) -> None:
    operation = found.setdefault(f"{step.method} {step.path}", {})
    if step.body is not None:
        operation.setdefault("body", shown(step.body))
    if isinstance(answer, dict | list):
        operation.setdefault(str(step.status), shown(answer))


def heard(each: Heard, service: Service, kept: dict[str, str]) -> Any:
    """The first message of a socket."""
    path = filled(each.path, kept)

    async def opened() -> tuple[ClientSession, ClientWebSocketResponse]:
        session = ClientSession(service.served.url, headers={"Authorization": f"Bearer {service.token}"})
        return session, await session.ws_connect(path)

    async def message(session: ClientSession, socket: ClientWebSocketResponse) -> Any:
        async with session, socket:
            return await socket.receive_json(timeout=PATIENCE)

    socket = service.served.run(opened())
    if each.meanwhile is not None:
        told(each.meanwhile, service, kept)
    return service.served.run(message(*socket))


def filled(path: str, kept: Mapping[str, str]) -> str:
    for name, value in kept.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def shown(document: Any) -> Any:
    """As it is each time, and short: two of what is many."""
    text = json.dumps(_short(document))
    for pattern, instead in _RANDOM:
        text = pattern.sub(instead, text)
    known: dict[str, str] = {}
    text = _UUID.sub(lambda m: known.setdefault(m[0], f"6f1c2a52-0000-4000-8000-{len(known) + 1:012d}"), text)
    return json.loads(text)


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _fixed(k, v) for k, v in value.items()}
    return [_short(each) for each in value[:2]] if isinstance(value, list) else value


def _fixed(name: str, value: Any) -> Any:
    """Keys are random; and the simulator's tenants store more every day."""
    match name, value:
        case "components", dict():  # measured
            return {
                each: {n: _MEASURED.get(n, said) for n, said in about.items()}
                for each, about in value.items()
            }
        case "key_id", str():
            return "a1b2c3d4"
        case (("storage_bytes" | "storage"), float()):
            return 9.82
        case "storage_bytes", int() if value % 10**9:
            return 392_813_888_161
    return _short(value)


def test_the_examples_of_the_document_are_what_is_answered(service: Service) -> None:
    """`ECPMON_RECORD=1` writes them anew."""
    service.clock.set(BEGINS)
    kept = {"tenant_id": NAME, "objective": "fast-answers", "profile": "vllm"}
    found: dict[str, dict[str, Any]] = {}
    changed: dict[str, str] = {}
    for step in STORY:
        if isinstance(step, Heard):
            found[f"GET {step.path}"] = {"says": shown(heard(step, service, kept))}
        else:
            note(step, told(step, service, kept), found)
            changed[rfc3339(service.clock.now())] = f"{step.method} {step.path}"
    check_log(service, changed)
    if os.environ.get("ECPMON_RECORD"):
        RECORDED.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    kept_there = json.loads(RECORDED.read_text(encoding="utf-8"))
    other = {name: (kept_there.get(name), found.get(name)) for name in kept_there.keys() | found.keys()}
    assert [f"{name}: {pair}" for name, pair in sorted(other.items()) if pair[0] != pair[1]] == []


def config(service: Service, count: int, phases: list[str], seconds: int | None) -> str:
    # Examples are about the first of them.
    known = [service.tenant(name) for name in (NAME, "", "")]
    values = {name: [str(value) for of in known for value in of[name]] for name in known[0]}
    lines = outside.config(
        count,
        phases,
        values,
        ACCEPTED,
        [f'headers = {{ Authorization = "Bearer {service.token}" }}'],
        seconds,
    )
    for name in PARTLY:
        lines += [*outside.operation(name), "checks.negative_data_rejection.enabled = false"]
    for name in MESSAGES:
        lines += [*outside.operation(name), "checks.negative_data_rejection.enabled = false"]
        lines += ["checks.positive_data_acceptance.enabled = false"]
    return "\n".join(lines)


def run(service: Service, folder: Path, count: int, phases: list[str], seconds: int | None = None) -> None:
    known = {"CONTRACT_TOKEN_ID": str(service.token_id), "CONTRACT_PARTLY": ",".join(PARTLY)}
    outside.run(service.served.url, config(service, count, phases, seconds), folder, **known)
    assert service.watched.taken() == []


def test_every_answer_is_documented_and_none_is_a_fault(service: Service, tmp_path: Path) -> None:
    run(service, tmp_path, 3, ["examples", "fuzzing", "stateful"])


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_every_answer_is_documented_at_length(service: Service, tmp_path: Path) -> None:
    run(service, tmp_path, 100, ["examples", "coverage", "fuzzing", "stateful"], 900)
