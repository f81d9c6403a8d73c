"""Patches: what each kind does to a document, and that the document itself stays as it was."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.patches import json_patch, merge_patch, strategic_merge
from ecpmon.simulator.kube.schemas import schema_of
from ecpmon.simulator.kube.status import ApiError
from tests.cost import at_most

Document = dict[str, Any]
_DEPLOYMENTS = CATALOGUE.find("apps", "v1", "deployments")
assert _DEPLOYMENTS is not None
SCHEMA = schema_of(_DEPLOYMENTS)


def pod_spec(**fields: Any) -> Document:
    return {"spec": {"template": {"spec": fields}}}


WEB = {"name": "web", "image": "a:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
SIDE = {"name": "side", "image": "b:1"}
LIVE = pod_spec(containers=[WEB, SIDE], tolerations=[{"key": "x"}], nodeSelector={"disk": "ssd"})

STRATEGIC = {
    "a list with a merge key is merged by it": (
        pod_spec(containers=[{"name": "side", "image": "b:2"}]),
        pod_spec(containers=[WEB, {"name": "side", "image": "b:2"}]),
    ),
    "an unknown key is appended": (
        pod_spec(containers=[{"name": "new", "image": "c"}]),
        pod_spec(containers=[WEB, SIDE, {"name": "new", "image": "c"}]),
    ),
    "nested lists are merged too": (
        pod_spec(containers=[{"name": "web", "env": [{"name": "B", "value": "3"}]}]),
        pod_spec(
            containers=[{**WEB, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]}, SIDE]
        ),
    ),
    "$patch delete removes an item": (
        pod_spec(containers=[{"name": "side", "$patch": "delete"}]),
        pod_spec(containers=[WEB]),
    ),
    "$patch replace replaces the whole list": (
        pod_spec(containers=[{"$patch": "replace"}, {"name": "new", "image": "c"}]),
        pod_spec(containers=[{"name": "new", "image": "c"}]),
    ),
    "$setElementOrder orders the result": (
        pod_spec(**{"$setElementOrder/containers": [{"name": "side"}, {"name": "web"}]}),
        pod_spec(containers=[SIDE, WEB]),
    ),
    "a list without a merge key is replaced": (
        pod_spec(tolerations=[{"key": "y"}]),
        {"tolerations": [{"key": "y"}]},
    ),
    "null removes a field": (pod_spec(nodeSelector=None), {"nodeSelector": ...}),
    "maps are merged": (
        pod_spec(nodeSelector={"zone": "a", "disk": None}),
        {"nodeSelector": {"zone": "a"}},
    ),
}


@pytest.mark.parametrize("sentence", STRATEGIC)
def test_strategic_merge(sentence: str) -> None:
    patch, expected = STRATEGIC[sentence]
    before = deepcopy(LIVE)
    spec = strategic_merge(LIVE, patch, SCHEMA)["spec"]["template"]["spec"]
    wanted = expected["spec"]["template"]["spec"] if "spec" in expected else expected
    for key, value in wanted.items():
        assert spec.get(key, ...) == value
    assert before == LIVE


def test_retain_keys_drops_what_is_not_named() -> None:
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(live, patch, SCHEMA) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_primitive_lists_grow_and_shrink() -> None:
    live = {"metadata": {"finalizers": ["a/b", "c/d"]}}
    grown = strategic_merge(live, {"metadata": {"finalizers": ["e/f"]}}, SCHEMA)
    assert grown["metadata"]["finalizers"] == ["a/b", "c/d", "e/f"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}
    assert strategic_merge(live, patch, SCHEMA)["metadata"]["finalizers"] == ["c/d"]


def test_merge_patch_is_rfc_7386() -> None:
    live = {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    assert merge_patch(live, {"a": {"b": None, "c": [3]}, "e": {"f": None}}) == {
        "a": {"c": [3]}, "d": 2, "e": {}
    }  # fmt: skip
    with pytest.raises(ApiError) as refused:
        merge_patch(live, ["not an object"])
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        pytest.param({"op": "add"}, 400, id="not a list"),
        pytest.param([{"op": "fly", "path": "/a"}], 400, id="unknown operation"),
        pytest.param([{"path": "/a"}], 400, id="no operation"),
        pytest.param(["text"], 400, id="not objects"),
        pytest.param([{"op": "test", "path": "/d", "value": 3}], 422, id="failed test"),
        pytest.param([{"op": "remove", "path": "/nothing"}], 422, id="absent path"),
        pytest.param([{"op": "replace", "path": "", "value": 3}], 400, id="whole document"),
        pytest.param([{"op": "add", "path": "/a", "value": 1}] * 10_001, 413, id="too many"),
    ],
)
def test_json_patches_that_are_refused(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        json_patch({"a": 1, "d": 2}, operations)
    assert refused.value.code == code


def test_json_patch_leaves_the_document_alone() -> None:
    live = {"a": {"b": [1, 2]}}
    assert json_patch(live, [{"op": "add", "path": "/a/b/-", "value": 3}]) == {"a": {"b": [1, 2, 3]}}
    assert live == {"a": {"b": [1, 2]}}


def test_a_patch_of_many_items_takes_no_time_that_grows_with_their_square() -> None:
    """It runs in the loop that serves everybody: 30,000 items took minutes."""
    schema = schema_of(next(r for r in CATALOGUE.all if r.kind == "Pod"))
    env = [{"name": f"A{n}", "value": "x"} for n in range(30_000)]
    order = [{"name": item["name"]} for item in reversed(env)]
    container = {"name": "c", "env": env, "$setElementOrder/env": order}
    with at_most(400):
        found = strategic_merge(
            {"spec": {"containers": [container]}}, {"spec": {"containers": [container]}}, schema
        )
    assert found["spec"]["containers"][0]["env"] == env[::-1]


def test_copies_of_copies_are_refused_before_they_fill_the_memory() -> None:
    double = [{"op": "copy", "from": "/data", "path": f"/data/b{n}"} for n in range(60)]
    with pytest.raises(ApiError) as refused:
        json_patch({"data": {"a": "x"}}, double)
    assert refused.value.code == 413
    few = [{"op": "copy", "from": "/data/a", "path": f"/data/b{n}"} for n in range(3)]
    assert json_patch({"data": {"a": "x"}}, few) == {"data": dict.fromkeys(("a", "b0", "b1", "b2"), "x")}
