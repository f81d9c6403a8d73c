"""CustomResourceDefinitions and the objects of their kinds: what a real server refuses, in its words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.kube.checks import check
from ecpmon.kube.structural import filled, object_causes, pruned, value_causes
from ecpmon.kube.structural_schemas import schema_causes

Document = dict[str, Any]
SCHEMA: Document = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
                "color": {"type": "string", "enum": ["red", "blue"]},
                "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
                "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
                "port": {"x-kubernetes-int-or-string": True},
                "when": {"type": "string", "format": "date-time"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
                "parts": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "on": {"type": "boolean", "default": True},
                        },
                    },
                },
                "maybe": {"type": "string", "nullable": True},
                "one": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                },
            },
        },
    },
}


def definition(**spec: Any) -> Document:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": deepcopy(SCHEMA)},
                }
            ],
            **spec,
        },
    }


def test_a_definition_is_valid_and_gets_its_defaults() -> None:
    verdict = check(definition())
    assert verdict.valid, (verdict.findings, verdict.causes)
    names = verdict.document["spec"]["names"]
    assert (names["singular"], names["listKind"]) == ("widget", "WidgetList")
    assert verdict.document["spec"]["conversion"] == {"strategy": "None"}


VERSION = definition()["spec"]["versions"][0]


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"group": "example"}, "spec.group", "should be a domain with at least one dot"),
        ({"group": "apps.k8s.io"}, "metadata.annotations[api-approved.kubernetes.io]", "protected groups"),
        ({"scope": "World"}, "spec.scope", 'supported values: "Cluster", "Namespaced"'),
        ({"names": {"plural": "widgets", "kind": "Widget", "listKind": "Widget"}}, "spec.names.listKind", "the same"),
        ({"names": {"plural": "Widgets", "kind": "Widget"}}, "spec.names.plural", "a DNS-1035 label"),
        ({"versions": []}, "spec.versions", "at least one version"),
        ({"versions": [VERSION, {**VERSION, "name": "v2"}]}, "spec.versions", "exactly one version marked as storage"),
        ({"versions": [VERSION, {**VERSION, "storage": False}]}, "spec.versions", "unique version names"),
        ({"versions": [{**VERSION, "schema": {}}]}, "spec.versions[0].schema.openAPIV3Schema", "schemas are required"),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields", "cannot set to true"),
        (
            {"versions": [{**VERSION, "subresources": {"scale": {"specReplicasPath": ".x"}}}]},
            "spec.versions[0].subresources.scale.specReplicasPath", "should be a json path under .spec",
        ),
        (
            {"versions": [{**VERSION, "additionalPrinterColumns": [{"name": "a", "type": "text", "jsonPath": ".a"}]}]},
            "spec.versions[0].additionalPrinterColumns[0].type", "must be one of",
        ),
    ],
)  # fmt: skip
def test_definitions_that_a_server_refuses(spec: Document, field: str, words: str) -> None:
    causes = {cause.field: cause.message for cause in check(definition(**spec)).causes}
    assert words in causes[field]


@pytest.mark.parametrize(
    ("schema", "field", "words"),
    [
        ({}, "s.type", "Required value: must not be empty at the root"),
        ({"type": "array", "items": {"type": "string"}}, "s.type", "must be object at the root"),
        ({"properties": {"a": {}}}, "s.properties[a].type", "must not be empty for specified object fields"),
        ({"properties": {"a": {"type": "array"}}}, "s.properties[a].items", "must be specified"),
        ({"properties": {"a": {"type": "array", "items": {}}}}, "s.properties[a].items.type", "specified array items"),
        ({"properties": {"a": {"type": "text"}}}, "s.properties[a].type", "Unsupported value"),
        ({"properties": {"a": {"$ref": "#/x", "type": "object"}}}, "s.properties[a].$ref", "not supported"),
        ({"properties": {"a": {"type": "string"}}, "additionalProperties": False}, "s.additionalProperties", "mutual"),
        ({"properties": {"a": {"type": "string", "pattern": "("}}}, "s.properties[a].pattern", "valid regular expr"),
        ({"properties": {"a": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}}},
         "s.properties[a].uniqueItems", "quadratic"),
        ({"properties": {"a": {"type": "object", "anyOf": [{"nullable": True}]}}},
         "s.properties[a].anyOf[0].nullable", "must be empty to be structural"),
        ({"properties": {"a": 5}}, "s.properties[a]", "must be a schema"),
        ({"properties": {"a": {"type": "object", "x-kubernetes-list-type": "set"}}},
         "s.properties[a].type", "must be array if x-kubernetes-list-type is specified"),
    ],
)  # fmt: skip
def test_schemas_must_be_structural(schema: Document, field: str, words: str) -> None:
    root = {"type": "object", **schema} if schema else {}
    causes = {cause.field: cause.message for cause in schema_causes(root, "s")}
    assert words in causes[field], causes


def test_what_all_versions_share_is_named_as_the_server_names_it() -> None:
    broken = definition()
    del broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"]
    (cause,) = check(broken).causes
    assert cause.field == "spec.validation.openAPIV3Schema.properties[spec].type"
    other = {**deepcopy(VERSION), "name": "v2", "storage": False}
    other["schema"]["openAPIV3Schema"]["description"] = "another"
    broken["spec"]["versions"].append(other)
    assert [c.field for c in check(broken).causes] == [
        "spec.versions[0].schema.openAPIV3Schema.properties[spec].type"
    ]


def test_what_may_not_change_stays() -> None:
    old = check(definition()).document
    old["status"] = {
        "conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v0"]
    }  # fmt: skip
    new = definition(scope="Cluster")
    fields = {cause.field for cause in check(new, old=old).causes}
    assert fields == {"spec.scope", "status.storedVersions[0]"}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec.size", "Required value"),
        ({"size": "3"}, "spec.size",
         'Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": 0}, "spec.size",
         "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": 6}, "spec.size", "Invalid value: 6: spec.size in body should be less than or equal to 5"),
        ({"size": True}, "spec.size",
         'Invalid value: "boolean": spec.size in body must be of type integer: "boolean"'),
        ({"color": "green"}, "spec.color", 'Unsupported value: "green": supported values: "red", "blue"'),
        ({"name": "ABC"}, "spec.name", "Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'"),
        ({"name": "a"}, "spec.name", 'Invalid value: "a": spec.name in body should be at least 2 chars long'),
        ({"name": "abcde"}, "spec.name", "Too long: may not be more than 4 bytes"),
        ({"ratio": 0}, "spec.ratio", "Invalid value: 0: spec.ratio in body should be greater than 0"),
        ({"port": 1.5}, "spec.port",
         'Invalid value: "number": spec.port in body must be of type integer,string: "number"'),
        ({"when": "today"}, "spec.when",
         'Invalid value: "today": spec.when in body must be of type date-time: "today"'),
        ({"labels": {"a": 1}}, "spec.labels.a",
         'Invalid value: "integer": spec.labels.a in body must be of type string: "integer"'),
        ({"labels": {"a": "", "b": "", "c": ""}}, "spec.labels", "Too many: 3: must have at most 2 items"),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", 'Duplicate value: {"name":"a"}'),
        ({"parts": [{}]}, "spec.parts[0].name", "Required value"),
        ({"parts": [{"name": str(n)} for n in range(4)]}, "spec.parts", "Too many: 4: must have at most 3 items"),
        ({"one": {}}, "spec.one",
         'Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found none valid'),
        ({"name": None}, "spec.name",
         'Invalid value: "null": spec.name in body must be of type string: "null"'),
    ],
)  # fmt: skip
def test_objects_are_refused_in_the_words_of_the_server(spec: Document, field: str, message: str) -> None:
    sized = spec if not spec or "size" in spec else {"size": 1, **spec}
    (cause,) = object_causes({"spec": sized}, SCHEMA)
    assert (cause.field, cause.message) == (field, message)


def test_a_good_object_is_taken() -> None:
    good = {
        "size": 5, "color": "red", "name": "abc", "ratio": 0.5, "port": "http", "when": "2026-11-28T15:00:00Z",
        "free": {"x": [1]}, "labels": {"a": "b"}, "parts": [{"name": "a"}, {"name": "b"}], "maybe": None,
        "one": {"a": ""},
    }  # fmt: skip
    assert list(object_causes({"apiVersion": 1, "kind": 2, "metadata": 3, "spec": good}, SCHEMA)) == []
    assert [c.field for c in object_causes({}, SCHEMA)] == ["spec"]


def test_unknown_fields_are_pruned_and_defaults_filled() -> None:
    sent = {
        "apiVersion": "a", "metadata": {"any": 1}, "odd": 1,
        "spec": {"free": {"x": 1}, "odd": 2, "labels": {"z": "1"}, "parts": [{"name": "a", "odd": 3}]},
    }  # fmt: skip
    kept, unknown = pruned(sent, SCHEMA)
    assert unknown == ["odd", "spec.odd", "spec.parts[0].odd"]
    assert filled(kept, SCHEMA) == {
        "apiVersion": "a", "metadata": {"any": 1},
        "spec": {"size": 2, "free": {"x": 1}, "labels": {"z": "1"}, "parts": [{"name": "a", "on": True}]},
    }  # fmt: skip
    assert "size" not in sent["spec"], "what was sent is as it was"
    nulls = {"size": None, "color": None, "maybe": None, "labels": {"a": None}, "free": {"x": None}}
    assert filled({"spec": nulls}, SCHEMA)["spec"] == {
        "size": 2, "maybe": None, "labels": {}, "free": {"x": None}
    }  # fmt: skip


JSON = st.recursive(
    st.sampled_from([None, True, 0, -7, 2**70, 1.5, "", "red", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "name"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(list(SCHEMA["properties"]["spec"]["properties"])), JSON, max_size=4), JSON
)
def test_no_value_and_no_schema_breaks_the_rules(spec: Document, odd: Any) -> None:
    kept, _ = pruned({"spec": spec, "odd": odd}, SCHEMA)
    for cause in object_causes(filled(kept, SCHEMA), SCHEMA):
        assert cause.field
    list(schema_causes(odd, "s"))
    list(schema_causes({"type": "object", "properties": {"a": odd}, "items": odd, "not": odd}, "s"))
    list(value_causes(odd, SCHEMA, "x"))
