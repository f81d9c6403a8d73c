"""The protocol itself, byte by byte: errors as Status, watches, pages, conflicts, finalizers."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.integration.simulator.kube.kube_objects import (
    config_map,
    deployment,
    namespace,
    service,
    service_monitor,
)
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE, until

_numbers = itertools.count(1)
PROTOBUF = "application/vnd.kubernetes.protobuf"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


class Http:
    """Requests to one simulator; `call` answers (status, document)."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        async with self.session.request(method, path, data=data, headers=headers, **more) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if "json" in answer.content_type else raw.decode()

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, document = await self.call(method, path, body, **more)
        assert status < 300, (method, path, document)
        return document

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The Status of a failure, which every one must be."""
        status, document = await self.call(method, path, body, **more)
        assert status >= 400, document
        assert document["kind"] == "Status"
        assert document["apiVersion"] == "v1"
        assert document["status"] == "Failure"
        assert document["code"] == status
        assert document["message"]
        return document


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[Http]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}", timeout=timeout) as session:
        yield Http(session)


@pytest.fixture
async def space(http: Http) -> AsyncIterator[str]:
    """The path of a namespace of the test's own."""
    name = f"http-{next(_numbers)}"
    await http.ok("POST", "/api/v1/namespaces", namespace(name))
    yield f"/api/v1/namespaces/{name}"
    await http.ok("DELETE", f"/api/v1/namespaces/{name}")


def name_of(space: str) -> str:
    return space.rpartition("/")[2]


class Events:
    """A watch, line by line."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> tuple[str, Any]:
        event = json.loads(await asyncio.wait_for(self.answer.content.readline(), 10))
        return event["type"], event["object"]

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.answer.content.readline(), 10) == b""


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v1/podtemplates", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/nothing", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/nothing/log", 404, "NotFound"),
        ("GET", "/apis/batch/v2/jobs", 404, "NotFound"),
        ("GET", "/apis/no.such.group", 404, "NotFound"),
        ("GET", "/apis/apps/v9", 404, "NotFound"),
        ("GET", "/openapi/v3/apis/no/v1", 404, "NotFound"),
        ("POST", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("POST", "/api/v1/namespaces/default/pods/a", 405, "MethodNotAllowed"),
        ("PUT", "/api/v1/namespaces/default/pods", 405, "MethodNotAllowed"),
        ("DELETE", "/apis/metrics.k8s.io/v1beta1/nodes", 405, "MethodNotAllowed"),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/namespaces/default/pods/a/eviction", 405, "MethodNotAllowed"),
        ("OPTIONS", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("POST", "/version", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/pods?labelSelector=a in b", 400, "BadRequest"),
        ("GET", "/api/v1/pods?fieldSelector=spec.priority=1", 400, "BadRequest"),
        ("GET", "/api/v1/pods?limit=-1", 400, "BadRequest"),
        ("GET", "/api/v1/pods?continue=nonsense", 400, "BadRequest"),
        ("GET", "/api/v1/pods?watch=perhaps", 400, "BadRequest"),
        ("GET", "/api/v1/pods?watch=1&sendInitialEvents=true", 422, "Invalid"),
        ("GET", "/api/v1/pods?resourceVersion=999999999", 504, "Timeout"),
    ],
)  # fmt: skip
async def test_failures_are_status_documents(
    http: Http, method: str, path: str, code: int, reason: str
) -> None:
    status = await http.refused(method, path)
    assert (status["code"], status["reason"]) == (code, reason)


async def test_our_own_paths_keep_their_own_errors(http: Http) -> None:
    for path in ("/api/v1/tenants/nobody", "/api/v1/nothing-at-all"):
        status, document = await http.call("GET", path)
        assert status == 404
        assert document["error"]["code"].endswith("NOT_FOUND")
    for path in ("/health", "/healthz", "/livez", "/readyz"):
        assert (await http.call("GET", path))[0] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"metadata": 5}', 400),
        (b'{"metadata": {"name": 5}}', 400),
        (b'{"metadata": {"name": "a", "labels": {"a": 1}}}', 400),
        (b'{"kind": "Secret", "metadata": {"name": "a"}}', 400),
        (b'{"apiVersion": "v2", "metadata": {"name": "a"}}', 400),
        (b'{"metadata": {"name": "a", "namespace": "elsewhere"}}', 400),
        (b'{"metadata": {"name": "a", "resourceVersion": "5"}}', 400),
        (b'{"metadata": {}}', 422),
        (b'{"metadata": {"name": "A"}}', 422),
        (b'{"data": {"a": {}}, "metadata": {"name": "a"}}', 400),
        (b'{"data": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b', "metadata": {"name": "a"}}', 400),
        (b'{"metadata": {"name": "\xff"}}', 400),
    ],
)  # fmt: skip
async def test_bad_bodies_are_the_clients_mistake(http: Http, space: str, body: bytes, code: int) -> None:
    assert (await http.refused("POST", f"{space}/configmaps", body))["code"] == code


async def test_custom_resources_without_sense_are_refused_too(http: Http, space: str) -> None:
    root = f"/apis/monitoring.coreos.com/v1/namespaces/{name_of(space)}/servicemonitors"
    odd = service_monitor("m", name_of(space))
    odd["metadata"]["labels"] = ["not", "a", "map"]
    assert (await http.refused("POST", root, odd))["code"] == 400
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    await http.ok("POST", root, service_monitor("m", name_of(space)))
    assert (await http.refused("PATCH", f"{root}/m", {}, headers=strategic))["code"] == 415


async def test_forms_of_answers_and_bodies(http: Http, space: str) -> None:
    await http.ok("POST", f"{space}/configmaps", config_map("c", name_of(space), a="1"))
    path = f"{space}/configmaps/c"
    status, text = await http.call("GET", path, headers={"Accept": "application/yaml"})
    assert (status, yaml.safe_load(text)["data"]) == (200, {"a": "1"})
    assert (await http.refused("GET", path, headers={"Accept": PROTOBUF}))["code"] == 406
    both = {"Accept": f"{PROTOBUF},application/json"}
    assert (await http.ok("GET", path, headers=both))["data"] == {"a": "1"}
    for form, code in ((PROTOBUF, 400), ("application/cbor", 415)):
        refused = await http.refused(
            "POST", f"{space}/configmaps", b"k8s\x00", headers={"Content-Type": form}
        )
        assert refused["code"] == code
    partial = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    listed = await http.ok("GET", f"{space}/configmaps", headers=partial)
    assert {item["kind"] for item in listed["items"]} == {"PartialObjectMetadata"}
    assert all("data" not in item for item in listed["items"])
    document = yaml.safe_dump(config_map("y", name_of(space), a="2")).encode()
    made = await http.ok(
        "POST", f"{space}/configmaps", document, headers={"Content-Type": "application/yaml"}
    )
    assert made["data"] == {"a": "2"}


async def test_unknown_fields_warn_or_are_refused(http: Http, space: str) -> None:
    body = {**config_map("w", name_of(space)), "dta": {}}
    refused = await http.refused("POST", f"{space}/configmaps?fieldValidation=Strict", body)
    assert 'strict decoding error: unknown field "dta"' in refused["message"]
    async with http.session.post(f"{space}/configmaps?dryRun=All", json=body) as answer:
        assert answer.status == 201
        assert answer.headers["Warning"] == '299 - "unknown field \\"dta\\""'
        assert "dta" not in await answer.json()
    async with http.session.post(
        f"{space}/configmaps?dryRun=All&fieldValidation=Ignore", json=body
    ) as answer:
        assert "Warning" not in answer.headers
    assert (await http.refused("GET", f"{space}/configmaps/w"))["code"] == 404  # dry runs left nothing
    assert (await http.refused("POST", f"{space}/configmaps?dryRun=Some", body))["code"] == 422


async def test_names_are_generated_and_taken_once(http: Http, space: str) -> None:
    body = {"metadata": {"generateName": "job-"}}
    names = {(await http.ok("POST", f"{space}/configmaps", body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == 9 for name in names)
    taken = await http.refused("POST", f"{space}/configmaps", {"metadata": {"name": names.pop()}})
    assert taken["reason"] == "AlreadyExists"


async def test_versions_guard_every_kind_of_write(http: Http, space: str) -> None:
    made = await http.ok("POST", f"{space}/configmaps", config_map("c", name_of(space), a="1"))
    path = f"{space}/configmaps/c"
    same = await http.ok("PUT", path, made)
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    newer = await http.ok("PATCH", path, {"data": {"a": "2"}}, headers=MERGE)
    assert int(newer["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert (await http.refused("PUT", path, made))["reason"] == "Conflict"
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    assert (await http.refused("PATCH", path, stale, headers=MERGE))["reason"] == "Conflict"
    uid = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    assert (await http.refused("DELETE", path, uid))["reason"] == "Conflict"
    other = {**made, "metadata": {**made["metadata"], "name": "other"}}
    assert (await http.refused("PUT", path, other))["code"] == 400


async def test_server_side_apply_needs_a_manager_and_creates(http: Http, space: str) -> None:
    body = config_map("applied", name_of(space), a="1")
    path = f"{space}/configmaps/applied"
    assert (await http.refused("PATCH", path, body, headers=APPLY))["code"] == 422
    assert (await http.call("PATCH", f"{path}?fieldManager=me", body, headers=APPLY))[0] == 201
    assert (await http.call("PATCH", f"{path}?fieldManager=me", body, headers=APPLY))[0] == 200
    conflict = await http.refused(
        "PATCH", f"{path}?fieldManager=you", config_map("applied", name_of(space), a="2"), headers=APPLY
    )
    assert conflict["details"]["causes"][0]["reason"] == "FieldManagerConflict"


async def test_finalizers_hold_an_object_until_they_are_gone(http: Http, space: str) -> None:
    body = config_map("held", name_of(space))
    body["metadata"]["finalizers"] = ["example.org/wait"]
    await http.ok("POST", f"{space}/configmaps", body)
    path = f"{space}/configmaps/held"
    marked = await http.ok("DELETE", path)
    assert marked["metadata"]["deletionTimestamp"]
    again = await http.ok("DELETE", path)
    assert again["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    await http.ok("PATCH", path, {"metadata": {"finalizers": None}}, headers=MERGE)
    assert (await http.refused("GET", path))["code"] == 404


async def test_collections_are_deleted_by_selector(http: Http, space: str) -> None:
    for name, tier in (("a", "front"), ("b", "front"), ("c", "back")):
        body = config_map(name, name_of(space))
        body["metadata"]["labels"] = {"tier": tier}
        await http.ok("POST", f"{space}/configmaps", body)
    gone = await http.ok("DELETE", f"{space}/configmaps?labelSelector=tier=front")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
    left = await http.ok("GET", f"{space}/configmaps?labelSelector=tier")
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


async def test_a_watch_goes_on_from_a_version(http: Http, space: str) -> None:
    version = (await http.ok("GET", f"{space}/configmaps"))["metadata"]["resourceVersion"]
    await http.ok("POST", f"{space}/configmaps", config_map("early", name_of(space)))
    async with http.session.get(f"{space}/configmaps?watch=1&resourceVersion={version}") as answer:
        events = Events(answer)
        assert (await events.next())[1]["metadata"]["name"] == "early"
        await http.ok("DELETE", f"{space}/configmaps/early")
        kind, gone = await events.next()
        assert kind == "DELETED"
        assert int(gone["metadata"]["resourceVersion"]) > int(version)


async def test_a_watch_with_a_selector_sees_objects_enter_and_leave(http: Http, space: str) -> None:
    path = f"{space}/configmaps"
    await http.ok("POST", path, config_map("moving", name_of(space)))
    async with http.session.get(f"{path}?watch=1&labelSelector=tier%3Dfront") as answer:
        events = Events(answer)
        labels = {"metadata": {"labels": {"tier": "front"}}}
        await http.ok("PATCH", f"{path}/moving", labels, headers=MERGE)
        assert (await events.next())[0] == "ADDED"
        await http.ok("PATCH", f"{path}/moving", {"data": {"a": "1"}}, headers=MERGE)
        assert (await events.next())[0] == "MODIFIED"
        await http.ok("PATCH", f"{path}/moving", {"metadata": {"labels": None}}, headers=MERGE)
        kind, document = await events.next()
        assert (kind, document["metadata"]["name"]) == ("DELETED", "moving")


async def test_initial_events_end_with_a_bookmark(http: Http, space: str) -> None:
    await http.ok("POST", f"{space}/configmaps", config_map("one", name_of(space)))
    seen = []
    async with http.session.get(f"{space}/configmaps?watch=1&{INITIAL}") as answer:
        events = Events(answer)
        kind, document = await events.next()
        while kind == "ADDED":
            seen.append(document["metadata"]["name"])
            kind, document = await events.next()
    assert "one" in seen
    assert kind == "BOOKMARK"
    assert document["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(document["metadata"]["resourceVersion"]) > 0


async def test_a_watch_ends_on_time_and_says_when_it_is_too_old(http: Http, space: str) -> None:
    query = "watch=1&timeoutSeconds=1&allowWatchBookmarks=true"
    version = (await http.ok("GET", f"{space}/configmaps"))["metadata"]["resourceVersion"]
    async with http.session.get(f"{space}/configmaps?{query}&resourceVersion={version}") as answer:
        events = Events(answer)
        assert (await events.next())[0] == "BOOKMARK"
        assert await events.ended()
    async with http.session.get("/api/v1/pods?watch=1&resourceVersion=1") as answer:
        events = Events(answer)
        kind, status = await events.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert await events.ended()


async def test_a_table_can_be_watched(http: Http, space: str) -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    async with http.session.get(f"{space}/configmaps?watch=1", headers=accept) as answer:
        events = Events(answer)
        await http.ok("POST", f"{space}/configmaps", config_map("row", name_of(space), a="1"))
        while True:
            kind, table = await events.next()
            if table["rows"][0]["cells"][0] == "row":
                break
        assert (kind, table["kind"]) == ("ADDED", "Table")
        assert table["rows"][0]["cells"][1] == 1
        assert table["rows"][0]["object"]["metadata"]["name"] == "row"


async def test_an_expired_page_asks_for_a_new_list(http: Http, space: str) -> None:
    for number in range(3):
        await http.ok("POST", f"{space}/configmaps", config_map(f"p{number}", name_of(space)))
    token = (await http.ok("GET", f"{space}/configmaps?limit=1"))["metadata"]["continue"]
    for number in range(20):  # every one of these lists remembers a state of its own
        await http.ok("PATCH", f"{space}/configmaps/p0", {"data": {"n": str(number)}}, headers=MERGE)
        await http.ok("GET", f"{space}/configmaps?limit=1")
    expired = await http.refused("GET", f"{space}/configmaps?limit=1&continue={token}")
    assert (expired["code"], expired["reason"]) == (410, "Expired")


async def test_a_pods_metrics_are_read_through_the_api_server(http: Http, space: str) -> None:
    root = f"/apis/apps/v1/namespaces/{name_of(space)}/deployments"
    await http.ok("POST", root, deployment("web", name_of(space), replicas=1))
    pods: list[Any] = []

    async def runs() -> bool:
        pods[:] = (await http.ok("GET", f"{space}/pods"))["items"]
        return [pod["status"].get("phase") for pod in pods] == ["Running"]

    await until(runs, "the pod runs")
    pod = pods[0]["metadata"]["name"]
    path = f"{space}/pods/{pod}"
    for name in (path, f"{path}:8080", f"{space}/pods/http:{pod}:8080"):
        status, text = await http.call("GET", f"{name}/proxy/metrics")
        assert status == 200
        assert "ecp_pod_memory_usage_bytes" in text
    assert (await http.refused("GET", f"{path}/proxy/admin"))["code"] == 404
    await http.ok("POST", f"{space}/services", service("web", name_of(space)))

    async def leads_there() -> bool:
        return "ecp_pod_ready" in (await http.call("GET", f"{space}/services/web:http/proxy/metrics"))[1]

    await until(leads_there, "the service leads to its pod")


async def test_exporters_are_read_through_the_api_server(http: Http) -> None:
    for path, name in (
        ("/api/v1/nodes/node-1/proxy/metrics/cadvisor", "machine_cpu_cores"),
        ("/api/v1/nodes/https:node-1:10250/proxy/metrics", "kubelet_running_pods"),
        ("/api/v1/nodes/node-1/proxy/metrics/resource", "node_cpu_usage_seconds_total"),
        ("/api/v1/namespaces/kube-system/services/kube-state-metrics:http-metrics/proxy/metrics", "kube_node_info"),
    ):  # fmt: skip
        status, text = await http.call("GET", path)
        assert status == 200
        assert f"\n{name}{{" in text, path
    assert (await http.refused("GET", "/api/v1/nodes/nobody/proxy/metrics"))["code"] == 404
    assert (await http.refused("GET", "/api/v1/nodes/node-1/proxy/pods"))["code"] == 404
    lost = "/api/v1/namespaces/kube-system/services/nobody/proxy/metrics"
    assert (await http.refused("GET", lost))["code"] == 404


async def test_discovery_in_both_forms_agrees(http: Http) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    aggregated: dict[str, set[str]] = {}
    for path in ("/api", "/apis"):
        for group in (await http.ok("GET", path, headers=accept))["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                key = f"{name}/{version['version']}" if name else version["version"]
                aggregated[key] = {resource["resource"] for resource in version["resources"]}
    groups = (await http.ok("GET", "/apis"))["groups"]
    legacy = {"v1": "/api/v1"} | {
        v["groupVersion"]: f"/apis/{v['groupVersion']}" for g in groups for v in g["versions"]
    }
    assert set(legacy) == set(aggregated)
    for key, path in legacy.items():
        listed = (await http.ok("GET", path))["resources"]
        assert {entry["name"] for entry in listed if "/" not in entry["name"]} == aggregated[key]
    paths = (await http.ok("GET", "/openapi/v3"))["paths"]
    assert len(paths) == len(legacy)
    for entry in paths.values():
        assert (await http.ok("GET", entry["serverRelativeURL"]))["openapi"] == "3.0.0"


async def test_open_watches_do_not_keep_the_process_from_stopping(tmp_path: Path) -> None:
    running = Simulator(tmp_path / "state").start()
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
        session.get("/api/v1/pods?watch=1") as answer,
    ):
        before = time.monotonic()
        assert await asyncio.to_thread(running.kill, signal.SIGTERM) == 0
        assert time.monotonic() - before < 50, "aiohttp waits a minute for whoever stays"
        assert await Events(answer).ended()
