"""Selectors: who is selected, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.kube.metadata import matches
from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.selectors import (
    exact_name,
    field_selector,
    label_selector,
)
from ecpmon.simulator.kube.status import ApiError

PODS, NODES = CATALOGUE.find("", "v1", "pods"), CATALOGUE.find("", "v1", "nodes")
POD: dict[str, Any] = {
    "metadata": {"name": "a", "namespace": "n", "labels": {"app": "web", "ecp.ai/tenant": "acme"}},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("app=web", True),
        ("app==web", True),
        ("app!=web", False),
        ("other!=web", True),  # an absent label differs from every value
        ("app in (web, api)", True),
        ("app notin (web,api)", False),
        ("other notin (web)", True),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("app=web,ecp.ai/tenant=acme", True),
        ("app in (web),ecp.ai/tenant=globex", False),
        ("app=", False),
    ],
)
def test_label_selectors(text: str, selected: bool) -> None:
    predicate = label_selector(text)
    assert predicate is not None
    assert predicate(POD) is selected


def test_an_empty_selector_selects_everything() -> None:
    assert label_selector("") is None
    assert label_selector(" , ") is None


@pytest.mark.parametrize("text", ["a in web", "a b", "=web", "app=we b", "-x=1", "a=" + "v" * 64, "a>x y"])
def test_unreadable_label_selectors_are_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        label_selector(text)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("spec.nodeName=node-1", True),
        ("spec.nodeName!=node-1", False),
        ("status.phase=Running,metadata.namespace=n", True),
        ("metadata.name=b", False),
        ("status.podIP=", True),
        ("spec.hostNetwork=false", True),
    ],
)
def test_field_selectors(text: str, selected: bool) -> None:
    assert PODS is not None
    predicate = field_selector(PODS, text)
    assert predicate is not None
    assert predicate(POD) is selected


def test_only_the_fields_of_the_real_server_can_be_selected_by() -> None:
    assert PODS is not None
    assert NODES is not None
    for resource, text in ((PODS, "spec.priority=1"), (NODES, "spec.nodeName=a"), (PODS, "nonsense")):
        with pytest.raises(ApiError) as refused:
            field_selector(resource, text)
        assert refused.value.code == 400


def test_one_name_is_recognised() -> None:
    assert exact_name("metadata.name=web") == "web"
    assert exact_name("metadata.name!=web") is None
    assert exact_name("metadata.name=web,metadata.namespace=n") is None


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, False),
    ],
)
def test_selector_objects(selector: dict[str, Any] | None, selected: bool) -> None:
    assert matches(selector, POD["metadata"]["labels"]) is selected
