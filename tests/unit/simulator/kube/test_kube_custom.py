"""Kinds that a CustomResourceDefinition brings: served, checked, scaled, and gone with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.kube.jsonpath import first, parsed
from ecpmon.simulator.server import create_app
from ecpmon.simulator.snapshot import SnapshotStore

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
                "items": {
                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object", "required": ["name"],
                        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                    },
                },
            },
        },
        "status": {"type": "object", "properties": {"size": {"type": "integer"}, "labels": {"type": "string"}}},
    },
}  # fmt: skip
SCALE = {
    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.labels",
}  # fmt: skip
COLUMNS = [
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
    {"name": "First", "type": "string", "jsonPath": ".spec.items[0].name", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def definition(**names: Any) -> dict[str, Any]:
    own = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"], **names}
    version = {
        "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": deepcopy(SCHEMA)},
        "subresources": {"status": {}, "scale": dict(SCALE)}, "additionalPrinterColumns": COLUMNS,
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{own['plural']}.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": own, "versions": [version]},
    }


def widget(name: str = "one", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


class Http:
    def __init__(self, client: TestClient) -> None:
        self.client = client

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        headers.setdefault("Content-Type", "application/json")
        data = None if body is None else json.dumps(body)
        async with self.client.request(method, path, data=data, headers=headers) as answer:
            self.warnings = answer.headers.getall("Warning", [])
            return answer.status, json.loads(await answer.read())

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, document = await self.call(method, path, body, **headers)
        assert status < 300, (method, path, document)
        return document

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, document = await self.call(method, path, body, **headers)
        assert (document["kind"], document["code"]) == ("Status", status)
        return document


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[Http]:
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=5, manual_clock=True))
    async with TestClient(TestServer(create_app(engine))) as client:
        made = Http(client)
        await made.ok("POST", CRDS, definition())
        yield made


async def test_a_definition_is_established_and_discovered(http: Http) -> None:
    found = await http.ok("GET", f"{CRDS}/widgets.example.com")
    conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["status"]["acceptedNames"]["listKind"] == "WidgetList"
    groups = {group["name"] for group in (await http.ok("GET", "/apis"))["groups"]}
    assert "example.com" in groups
    listed = await http.ok("GET", "/apis/example.com/v1")
    assert [r["name"] for r in listed["resources"]] == ["widgets", "widgets/status", "widgets/scale"]
    assert listed["resources"][0]["shortNames"] == ["wd"]
    schemas = (await http.ok("GET", "/openapi/v3/apis/example.com/v1"))["components"]["schemas"]
    size = schemas["com.example.v1.Widget"]["properties"]["spec"]["properties"]["size"]
    assert size["maximum"] == 5
    swagger = await http.ok("GET", "/openapi/v2")
    assert "com.example.v1.Widget" in swagger["definitions"]


async def test_objects_are_made_read_changed_and_deleted(http: Http) -> None:
    made = await http.ok("POST", WIDGETS, widget(odd=1))
    assert made["spec"] == {"size": 2}
    assert http.warnings == ['299 - "unknown field \\"spec.odd\\""']
    assert made["metadata"]["generation"] == 1
    strict = await http.refused("POST", f"{WIDGETS}?fieldValidation=Strict", widget("two", odd=1))
    assert strict["message"].endswith('strict decoding error: unknown field "spec.odd"')
    patched = await http.ok("PATCH", f"{WIDGETS}/one", {"spec": {"size": 3}}, **MERGE)
    assert (patched["spec"]["size"], patched["metadata"]["generation"]) == (3, 2)
    wrong = await http.refused("PATCH", f"{WIDGETS}/one", {"spec": {"size": 9}}, **MERGE)
    assert wrong["message"] == (
        'Widget.example.com "one" is invalid: spec.size: Invalid value: 9: spec.size in body should be less than '
        "or equal to 5"
    )
    assert (await http.refused("PATCH", f"{WIDGETS}/one", {}, **{
        "Content-Type": "application/strategic-merge-patch+json"
    }))["code"] == 415  # fmt: skip
    listed = await http.ok("GET", "/apis/example.com/v1/widgets")
    assert (listed["kind"], len(listed["items"])) == ("WidgetList", 1)
    await http.ok("DELETE", f"{WIDGETS}/one")
    assert (await http.refused("GET", f"{WIDGETS}/one"))["message"] == 'widgets.example.com "one" not found'


async def test_server_side_apply_follows_the_schemas_lists(http: Http) -> None:
    one, two = f"{WIDGETS}/one?fieldManager=one", f"{WIDGETS}/one?fieldManager=two"
    await http.ok("PATCH", one, widget(items=[{"name": "a", "value": "1"}]), **APPLY)
    both = await http.ok("PATCH", two, widget(items=[{"name": "b", "value": "2"}]), **APPLY)
    assert {item["name"] for item in both["spec"]["items"]} == {"a", "b"}
    conflict = await http.refused("PATCH", two, widget(items=[{"name": "a", "value": "9"}]), **APPLY)
    assert 'conflict with "one": .spec.items[name="a"].value' in conflict["message"]
    left = await http.ok("PATCH", one, widget(items=[]), **APPLY)
    assert [item["name"] for item in left["spec"]["items"]] == ["b"]


async def test_status_and_scale_are_subresources(http: Http) -> None:
    body = {**widget(), "status": {"size": 7}}
    assert "status" not in await http.ok("POST", WIDGETS, body)
    status = {"status": {"size": 1, "labels": "app=one"}}
    found = await http.ok("PATCH", f"{WIDGETS}/one/status", {**status, "spec": {"size": 5}}, **MERGE)
    assert (found["status"]["size"], found["spec"]["size"]) == (1, 2)
    assert (await http.refused("PATCH", f"{WIDGETS}/one/status", {"status": {"size": "x"}}, **MERGE))[
        "code"
    ] == 422
    scale = await http.ok("GET", f"{WIDGETS}/one/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "app=one"})
    scaled = await http.ok("PATCH", f"{WIDGETS}/one/scale", {"spec": {"replicas": 4}}, **MERGE)
    assert scaled["spec"]["replicas"] == 4
    assert (await http.ok("GET", f"{WIDGETS}/one"))["spec"]["size"] == 4
    assert (await http.refused("PATCH", f"{WIDGETS}/one/scale", {"spec": {"replicas": 9}}, **MERGE))[
        "code"
    ] == 422


async def test_columns_are_printed_as_the_definition_says(http: Http) -> None:
    await http.ok("POST", WIDGETS, widget(items=[{"name": "a"}]))
    table = await http.ok("GET", WIDGETS, **TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "First", "Age"]
    assert table["rows"][0]["cells"] == ["one", 2, "a", "0s"]


async def test_every_version_shows_the_same_objects(http: Http) -> None:
    body = await http.ok("GET", f"{CRDS}/widgets.example.com")
    body["spec"]["versions"].append({**body["spec"]["versions"][0], "name": "v2beta1", "storage": False})
    await http.ok("PUT", f"{CRDS}/widgets.example.com", body)
    group = await http.ok("GET", "/apis/example.com")
    assert [v["version"] for v in group["versions"]] == ["v1", "v2beta1"]
    await http.ok("POST", WIDGETS, widget())
    newer = WIDGETS.replace("/v1/", "/v2beta1/")
    assert (await http.ok("GET", f"{newer}/one"))["apiVersion"] == "example.com/v2beta1"
    assert (await http.ok("GET", newer))["items"][0]["apiVersion"] == "example.com/v2beta1"
    await http.ok("PATCH", f"{newer}/one", {"spec": {"size": 3}}, **MERGE)
    assert (await http.ok("GET", f"{WIDGETS}/one"))["apiVersion"] == "example.com/v1"


async def test_a_definition_goes_with_the_last_of_its_objects(http: Http) -> None:
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await http.ok("POST", WIDGETS, held)
    owner = (await http.ok("POST", WIDGETS, widget()))["metadata"]
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "one", "uid": owner["uid"]}
    owned = {"metadata": {"name": "owned", "ownerReferences": [reference]}}
    await http.ok("POST", "/api/v1/namespaces/default/configmaps", owned)
    deleted = await http.ok("DELETE", f"{CRDS}/widgets.example.com")
    assert deleted["metadata"]["deletionTimestamp"]
    assert [w["metadata"]["name"] for w in (await http.ok("GET", WIDGETS))["items"]] == ["held"]
    await http.refused("GET", "/api/v1/namespaces/default/configmaps/owned")
    assert (await http.refused("POST", WIDGETS, widget("new")))["code"] == 405
    assert (await http.ok("GET", f"{WIDGETS}/held"))["metadata"]["deletionTimestamp"]
    await http.ok("PATCH", f"{WIDGETS}/held", {"metadata": {"finalizers": None}}, **MERGE)
    await http.refused("GET", f"{CRDS}/widgets.example.com")
    assert (await http.refused("GET", WIDGETS))["code"] == 404
    assert "example.com" not in str(await http.ok("GET", "/apis"))
    await http.ok("POST", CRDS, definition())
    assert (await http.ok("GET", WIDGETS))["items"] == []


async def test_names_that_are_taken_are_not_accepted(http: Http) -> None:
    other = await http.ok("POST", CRDS, definition(plural="others"))
    other = await http.ok("GET", f"{CRDS}/others.example.com")
    reasons = {c["type"]: (c["status"], c["reason"]) for c in other["status"]["conditions"]}
    assert reasons["NamesAccepted"] == ("False", "SingularConflict")
    assert reasons["Established"] == ("False", "NotAccepted")
    assert (await http.refused("GET", "/apis/example.com/v1/others"))["code"] == 404
    await http.ok("DELETE", f"{CRDS}/widgets.example.com")
    await http.ok("GET", "/apis/example.com/v1/others")


async def test_a_kind_that_was_built_in_is_checked_once_it_is_defined(http: Http) -> None:
    monitors = "/apis/monitoring.coreos.com/v1/namespaces/default/servicemonitors"
    await http.ok("POST", monitors, {"metadata": {"name": "any"}, "spec": 5})
    body = definition(
        plural="servicemonitors", kind="ServiceMonitor", singular="servicemonitor", shortNames=[]
    )
    body["metadata"]["name"] = "servicemonitors.monitoring.coreos.com"
    body["spec"]["group"] = "monitoring.coreos.com"
    await http.ok("POST", CRDS, body)
    assert (await http.refused("POST", monitors, {"metadata": {"name": "odd"}, "spec": 5}))["code"] == 422


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".a.b", 1), (".a", {"b": 1}), (".list[0].n", "x"), (".list[-1].n", "y"), (".list[*].n", "x"),
        ('.list[?(@.n=="y")].v', 2), (".list[?(@.n=='z')].v", None), (".a\\.b", 3), ("['a.b']", 3), (".list[9]", None),
        (".nothing", None), ("a", None), (".list[", None), ("{.a.b}", 1),
    ],
)  # fmt: skip
def test_paths_lead_to_values(path: str, value: Any) -> None:
    document = {"a": {"b": 1}, "a.b": 3, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]}
    assert first(document, parsed(path)) == value
