"""Negotiation, paths, protobuf bodies, ages and OpenAPI: the small translations of the API."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.simulator.kube import columns, openapi, protobuf, protobuf_objects
from ecpmon.simulator.kube.catalogue import CATALOGUE, RESOURCES
from ecpmon.simulator.kube.cells import duration
from ecpmon.simulator.kube.negotiation import JSON, YAML, Form, parse, wish_of
from ecpmon.simulator.kube.paths import target_of
from ecpmon.simulator.kube.status import ApiError
from ecpmon.simulator.model.times import to_micros

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "media", "form"),
    [
        (None, JSON, Form.OBJECT),
        ("*/*", JSON, Form.OBJECT),
        ("application/vnd.kubernetes.protobuf,application/json", JSON, Form.OBJECT),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", JSON, Form.TABLE),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", JSON, Form.OBJECT),
        ("application/yaml", YAML, Form.OBJECT),
        ("application/yaml;q=0.2,application/json;q=0.9", JSON, Form.OBJECT),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", JSON, Form.METADATA_LIST),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON, Form.OBJECT),
    ],
)
def test_the_first_form_that_we_have_is_given(accept: str | None, media: str, form: Form) -> None:
    wish = wish_of(accept)
    assert (wish.media, wish.form) == (media, form)


@pytest.mark.parametrize(
    "accept", ["application/vnd.kubernetes.protobuf", "text/html", TABLE.replace("v1", "v9")]
)
def test_what_we_do_not_have_is_not_acceptable(accept: str) -> None:
    with pytest.raises(ApiError) as refused:
        wish_of(accept)
    assert (refused.value.code, refused.value.reason) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    "text",
    [b"{", b"a: [", b"? {a: 1}\n: b", b"a: &x [1]\nb: *x", b"!!python/object:os.system {}", b"a: .nan\n1: 2"],
)
def test_unreadable_yaml_is_a_bad_request(text: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(text, "application/apply-patch+yaml")
    assert refused.value.code == 400


def test_yaml_times_stay_text() -> None:
    assert parse(b"a: 2026-11-02T08:00:00Z\nb: 2026-11-02", YAML) == {
        "a": "2026-11-02T08:00:00Z", "b": "2026-11-02"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/v1/pods", ("pods", "", "", "")),
        ("/api/v1/namespaces", ("namespaces", "", "", "")),
        ("/api/v1/namespaces/a", ("namespaces", "", "a", "")),
        ("/api/v1/namespaces/pods", ("namespaces", "", "pods", "")),
        ("/api/v1/namespaces/a/status", ("namespaces", "", "a", "status")),
        ("/api/v1/namespaces/a/pods", ("pods", "a", "", "")),
        ("/api/v1/namespaces/a/pods/b/log", ("pods", "a", "b", "log")),
        ("/api/v1/namespaces/a/pods/b/proxy/metrics", ("pods", "a", "b", "proxy")),
        ("/api/v1/watch/namespaces/a/pods", ("pods", "a", "", "")),
        ("/apis/apps/v1/namespaces/a/deployments/b/scale", ("deployments.apps", "a", "b", "scale")),
        ("/apis/metrics.k8s.io/v1beta1/nodes", ("nodes.metrics.k8s.io", "", "", "")),
    ],
)
def test_paths(path: str, found: tuple[str, str, str, str]) -> None:
    target = target_of(path)
    assert target is not None
    sub = target.subresource.name if target.subresource else ""
    assert (target.resource.name, target.namespace, target.name, sub) == found


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v1/pods/a",  # a pod lives in a namespace
        "/api/v1/namespaces/a/nodes/b",  # and a node does not
        "/api/v1/namespaces/a/pods/b/nothing",
        "/api/v1/namespaces/a/pods/b/log/more",
        "/apis/apps/v9/deployments",
        "/apis/apps/v1",
        "/api/v1/watch",
    ],
)
def test_paths_that_lead_nowhere(path: str) -> None:
    assert target_of(path) is None


@given(st.text(alphabet="/abcpods1v.:-", max_size=60))
def test_no_path_breaks_the_parser(path: str) -> None:
    for prefix in ("/api/v1/", "/apis/apps/v1/", "/apis/", ""):
        target_of(prefix + path)


def _varint(value: int) -> bytes:
    head, rest = value % 128, value // 128
    return bytes([head | 128]) + _varint(rest) if rest else bytes([head])


def _message(*fields: tuple[int, bytes | int]) -> bytes:
    raw = b""
    for number, value in fields:
        if isinstance(value, int):
            raw += _varint(number << 3) + _varint(value)
        else:
            raw += _varint(number << 3 | 2) + _varint(len(value)) + value
    return raw


def test_delete_options_are_read_from_protobuf() -> None:
    options = _message((1, 0), (2, _message((1, b"uid-1"))), (4, b"Foreground"), (5, b"All"))
    about = _message((1, b"v1"), (2, b"DeleteOptions"))
    version, kind, message = protobuf.envelope(b"k8s\x00" + _message((1, about), (2, options)))
    assert (version, kind) == ("v1", "DeleteOptions")
    assert protobuf.delete_options(message) == {
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid-1"},
        "propagationPolicy": "Foreground",
        "dryRun": ["All"],
    }
    assert protobuf.eviction(_message((1, b""), (2, options)))["deleteOptions"]["dryRun"] == ["All"]


@given(st.binary(max_size=80))
def test_broken_protobuf_is_a_bad_request(raw: bytes) -> None:
    codes = set()
    for read in (
        lambda: protobuf.delete_options(protobuf.envelope(b"k8s\x00" + raw)[2]),
        lambda: protobuf.eviction(raw),
    ):
        try:
            read()
        except ApiError as refused:
            codes.add(refused.code)
    assert codes <= {400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (303, "5m3s"), (3599, "59m"), (12_000, "3h20m"), (90_000, "25h"),
     (180_000, "2d2h"), (864_000, "10d"), (800 * 86_400, "2y70d"), (-5, "0s")],
)  # fmt: skip
def test_ages_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_a_job_that_is_done_lasted_until_then() -> None:
    (column,) = (column for column in columns.JOBS if column.name == "Duration")
    now = to_micros(datetime(2026, 11, 1, 1, tzinfo=UTC))
    begun = {"startTime": "2026-11-01T00:00:00Z"}
    done = {**begun, "completionTime": "2026-11-01T00:00:14Z"}
    assert [column.cell({"status": status}, now) for status in ({}, begun, done)] == ["", "60m", "14s"]


def test_openapi_documents_are_complete_and_refer_to_themselves_only() -> None:
    for path in openapi.group_versions():
        document = orjson.loads(openapi.v3(path))
        schemas = document["components"]["schemas"]
        text = openapi.v3(path).decode()
        references = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
        assert references <= set(schemas)
        assert "$defs" not in text
    swagger = openapi.v2().decode()
    definitions = set(orjson.loads(swagger)["definitions"])
    assert {part.split('"')[0] for part in swagger.split('"#/definitions/')[1:]} <= definitions


def test_every_stored_kind_says_that_it_can_be_patched() -> None:
    """kubectl looks here whether fieldValidation and dryRun are understood."""
    for resource in RESOURCES:
        path = f"apis/{resource.group}/{resource.version}" if resource.group else "api/v1"
        operations = [
            item["patch"] for item in orjson.loads(openapi.v3(path))["paths"].values() if "patch" in item
        ]
        mine = [o for o in operations if o["x-kubernetes-group-version-kind"]["kind"] == resource.kind]
        assert {"dryRun", "fieldValidation"} <= {parameter["name"] for parameter in mine[0]["parameters"]}
    assert len({r.name for r in CATALOGUE.all}) == len(CATALOGUE.all)


def _object(version: str, kind: str, *fields: tuple[int, bytes | int]) -> bytes:
    about = _message((1, version.encode()), (2, kind.encode()))
    return b"k8s\x00" + _message((1, about), (2, _message(*fields)))


def test_an_object_in_protobuf_is_what_json_would_have_said() -> None:
    entry = _message((1, b"app"), (2, b"web"))
    metadata = _message((1, b"web"), (2, b""), (8, b""), (11, entry))
    port = _message((1, b""), (3, 80), (4, _message((1, 0), (2, 8080), (3, b""))), (5, 0))
    named = _message((1, b"x"), (3, 81), (4, _message((1, 1), (2, 0), (3, b"http"))))
    unset = _message((3, 82), (4, _message((1, 0), (2, 0), (3, b""))))
    spec = _message((1, port), (1, named), (1, unset), (2, entry), (4, b"ClusterIP"), (99, b"new"))
    assert protobuf_objects.document(_object("v1", "Service", (1, metadata), (2, spec), (3, b""))) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "ports": [
                {"port": 80, "targetPort": 8080},
                {"name": "x", "port": 81, "targetPort": "http"},
                {"port": 82},
            ],
            "selector": {"app": "web"},
            "type": "ClusterIP",
        },
        "status": {},
    }


def test_protobuf_keeps_a_zero_that_was_set_and_lifts_embedded_fields() -> None:
    volume = _message((1, b"v"), (2, _message((2, b""))))
    template = _message((2, _message((1, volume))))
    found = protobuf_objects.document(
        _object("apps/v1", "Deployment", (2, _message((1, 0), (3, template), (5, 0))))
    )
    assert found["spec"]["replicas"] == 0
    assert "minReadySeconds" not in found["spec"]
    assert found["spec"]["template"]["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]


@given(st.binary(max_size=200), st.sampled_from([("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Event")]))
def test_broken_protobuf_is_refused_or_read(noise: bytes, kind: tuple[str, str]) -> None:
    about = _message((1, kind[0].encode()), (2, kind[1].encode()))
    codes = set()
    for raw in (b"k8s\x00" + noise, b"k8s\x00" + _message((1, about), (2, noise))):
        try:
            protobuf_objects.document(raw)
        except ApiError as refused:
            codes.add(refused.code)
    assert codes <= {400}


def test_every_field_of_the_table_has_a_type() -> None:
    types = protobuf_objects._types()
    for name, fields in types.items():
        for how in fields.values():
            kind = how.partition(":")[2].removeprefix("!").removeprefix("[]").removeprefix("{}")
            assert kind in protobuf_objects._SCALARS or kind in types, (name, how)
    for resource in RESOURCES:
        # Go's clients send definitions as JSON.
        if not resource.schemaless and resource.kind != "CustomResourceDefinition":
            assert protobuf_objects.document(_object(resource.api_version, resource.kind))
