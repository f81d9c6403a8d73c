"""Server-side apply as timelines of managers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.simulator.kube.apply import apply
from ecpmon.simulator.kube.catalogue import CATALOGUE, Resource
from ecpmon.simulator.kube.fieldsets import fields_of, from_fields_v1, to_fields_v1
from ecpmon.simulator.kube.ownership import APPLY, UPDATE, Manager, after_update, managers_of
from ecpmon.simulator.kube.schemas import schema_of
from ecpmon.simulator.kube.status import ApiError

Document = dict[str, Any]
NOW = "2026-11-02T08:00:00Z"


def _resource(group: str, plural: str) -> Resource:
    found = CATALOGUE.find(group, "v1", plural)
    assert found is not None
    return found


DEPLOYMENTS, CONFIG_MAPS = _resource("apps", "deployments"), _resource("", "configmaps")
SERVICES, MONITORS = _resource("", "services"), _resource("monitoring.coreos.com", "servicemonitors")


def settings(**data: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n"},
        "data": data,
    }


def web(**container: Any) -> Document:
    spec = {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", **container}]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def applied(
    live: Document | None, body: Document, who: str, *, force: bool = False, to: Resource = CONFIG_MAPS
) -> Document:
    return apply(live, body, to, Manager(who, APPLY), force=force, now=NOW)


def owners(document: Document, who: str) -> set[str]:
    found, _ = managers_of(document)
    return {path[-1][2:] for manager, fields in found.items() if manager.name == who for path in fields}


def test_fields_that_are_no_longer_applied_go_unless_shared() -> None:
    live = applied(None, settings(a="1", b="2", c="3"), "one")
    live = applied(live, settings(c="3"), "two")
    live = applied(live, settings(a="1"), "one")
    assert live["data"] == {"a": "1", "c": "3"}
    assert owners(live, "one") == {"a"}
    assert owners(live, "two") == {"c"}


def test_conflicts_name_field_and_owner_and_can_be_forced() -> None:
    live = applied(None, settings(a="1", b="2"), "one")
    with pytest.raises(ApiError) as refused:
        applied(live, settings(a="9"), "two")
    assert refused.value.code == 409
    assert refused.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    live = applied(live, settings(a="9"), "two", force=True)
    assert live["data"] == {"a": "9", "b": "2"}
    assert owners(live, "one") == {"b"}
    assert owners(live, "two") == {"a"}


def test_equal_values_are_shared_and_the_same_apply_changes_nothing() -> None:
    live = applied(None, settings(a="1"), "one")
    live = applied(live, settings(a="1"), "two")
    assert owners(live, "one") == owners(live, "two") == {"a"}
    assert applied(live, settings(a="1"), "two") is live


def test_an_update_takes_what_it_changes() -> None:
    live = applied(None, settings(a="1", b="2"), "one")
    changed = {**live, "data": {"a": "1", "b": "9", "c": "3"}}
    entries = after_update(live, changed, CONFIG_MAPS, Manager("two", UPDATE), NOW)
    changed["metadata"] = {**changed["metadata"], "managedFields": entries}
    assert owners(changed, "one") == {"a"}
    assert owners(changed, "two") == {"b", "c"}
    with pytest.raises(ApiError, match='conflict with "two" using Update'):
        applied(changed, settings(a="1", b="2"), "one")


def test_lists_are_merged_by_their_keys() -> None:
    first = web(image="a:1", ports=[{"containerPort": 80, "protocol": "TCP"}])
    live = applied(None, first, "one", to=DEPLOYMENTS)
    second = {**web(), "spec": {"template": {"spec": {"containers": [
        {"name": "web", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "b"}]}}}}  # fmt: skip
    live = applied(live, second, "two", to=DEPLOYMENTS)
    containers = live["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["web", "side"]
    assert containers[0]["image"] == "a:1"
    assert containers[0]["env"] == [{"name": "A", "value": "1"}]
    live = applied(
        live, {**second, "spec": {"template": {"spec": {"containers": []}}}}, "two", to=DEPLOYMENTS
    )
    containers = live["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["web"]
    assert "env" not in containers[0]


def test_a_port_without_protocol_is_the_tcp_port() -> None:
    def port(**fields: Any) -> Document:
        spec = {"ports": [{"port": 80, **fields}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}

    live = applied(None, port(), "one", to=SERVICES)
    live = applied(live, port(protocol="TCP", targetPort=8080), "two", to=SERVICES)
    assert live["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]


def test_lists_of_custom_resources_are_one_value() -> None:
    def monitor(*ports: str) -> Document:
        spec = {"endpoints": [{"port": port} for port in ports]}
        return {"kind": "ServiceMonitor", "metadata": {"name": "m"}, "spec": spec}

    live = applied(None, monitor("a", "b"), "one", to=MONITORS)
    with pytest.raises(ApiError):
        applied(live, monitor("a"), "two", to=MONITORS)
    assert applied(live, monitor("a"), "one", to=MONITORS)["spec"] == monitor("a")["spec"]


def test_kubectl_inherits_what_it_wrote_by_client_side_apply() -> None:
    last = '{"data":{"a":"1"},"metadata":{"name":"c"}}'
    live = settings(a="1", b="2")
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": last}
    manager = Manager("kubectl-client-side-apply", UPDATE)
    live["metadata"]["managedFields"] = after_update(None, live, CONFIG_MAPS, manager, NOW)
    assert applied(live, settings(a="9"), "kubectl")["data"] == {"a": "9", "b": "2"}
    with pytest.raises(ApiError):  # that field was not in the manifest
        applied(live, settings(b="9"), "kubectl")
    with pytest.raises(ApiError):  # and nobody else inherits
        applied(live, settings(a="9"), "someone")


_values = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), _values), min_size=1, max_size=8))
def test_forced_applies_leave_exactly_what_somebody_last_asked_for(
    steps: list[tuple[str, dict[str, str]]],
) -> None:
    """The last word on each key that anybody still applies is what stands there."""
    live: Document | None = None
    asked: dict[str, dict[str, str]] = {}
    for who, data in steps:
        before = deepcopy(live)
        after = applied(live, settings(**data), who, force=True)
        assert live == before
        live = after
        for other, theirs in asked.items():
            if other != who:
                for key in [key for key, value in theirs.items() if data.get(key, value) != value]:
                    del theirs[key]
        asked[who] = dict(data)
    assert live is not None
    wanted = {key: value for theirs in asked.values() for key, value in theirs.items()}
    assert live.get("data", {}) == wanted


def test_fields_survive_their_document_form() -> None:
    body = web(image="a", ports=[{"containerPort": 80}], args=["x"], env=[{"name": "A"}])
    body["metadata"]["finalizers"] = ["a/b"]
    fields = fields_of(body, schema_of(DEPLOYMENTS))
    assert from_fields_v1(to_fields_v1(fields)) == fields
