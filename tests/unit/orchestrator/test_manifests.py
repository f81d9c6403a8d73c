"""Rendered objects: golden bytes, strictness on every version, and what the contract names.

Regenerate the golden files: `python tests/unit/orchestrator/test_manifests.py`, then read the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.errors import ValidationFailed
from ecpmon.kube.versions import VERSIONS
from ecpmon.orchestrator.manifests import ManifestOptions, to_json, to_yaml
from ecpmon.orchestrator.validation import validate_manifest
from tests.unit.orchestrator.rendering import of_kind, rendered

GOLDEN = Path(__file__).parent / "golden"
MIXED = {"callbot": 50, "chatbot": 100, "advisor": 25, "stt": 30, "tts": 30}
# The anchor cases, and a small tenant whose parts keep state.
CASES: dict[str, tuple[dict[str, int], str, dict[str, Any]]] = {
    "medium": (MIXED, "99.9%", {"include_ingress": True}),
    "large": ({"callbot": 100, "chatbot": 200, "advisor": 50}, "99.9%", {}),
    "stateful": ({"chatbot": 10, "redis": 10, "vector-db": 10}, "99%", {"include_monitoring": False}),
    "gpu": ({"callbot": 20, "stt": 20}, "99.5%", {"namespace": "voice"}),
}


def golden(name: str) -> str:
    requirements, availability, options = CASES[name]
    return to_yaml(rendered(requirements, availability, **options))


@pytest.mark.parametrize("name", CASES)
def test_the_golden_files(name: str) -> None:
    assert golden(name) == (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_golden_files_hold_what_they_are_for() -> None:
    texts = {name: (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8") for name in CASES}
    assert "ecp.ai/preset: large" in texts["large"]
    assert "kind: Ingress" in texts["medium"]
    assert "kind: PersistentVolumeClaim" in texts["stateful"]
    assert "kind: ServiceMonitor" not in texts["stateful"]
    assert '              nvidia.com/gpu: "1"' in texts["gpu"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_strictly_valid_on_every_version(version: str) -> None:
    report = validate_manifest(
        "acme", to_yaml(rendered(MIXED, include_ingress=True)), version=version, strict=True
    )
    assert report.errors == ()
    assert report.resource_summary["estimated_pods"] == 18
    assert (report.estimated_cost, report.deployment_time) == ("$350/month", "15-20 minutes")


_SERVICES = st.dictionaries(
    st.sampled_from(["callbot", "chatbot", "advisor", "nlp", "stt", "tts"]), st.integers(1, 30), min_size=1
)


@settings(max_examples=15, deadline=None)
@given(_SERVICES, st.sampled_from(["99%", "99.5%", "99.9%"]), st.booleans())
def test_any_plan_renders_the_same_bytes_and_is_valid(
    requirements: dict[str, int], availability: str, ingress: bool
) -> None:
    first = to_yaml(rendered(requirements, availability, include_ingress=ingress))
    assert first == to_yaml(rendered(requirements, availability, include_ingress=ingress))
    assert validate_manifest("acme", first, strict=True).errors == ()


def test_the_callbot_of_the_documents() -> None:
    objects = rendered(MIXED)
    made = of_kind(objects, "Deployment")["callbot"]
    assert made["metadata"]["annotations"] == {"ecp.ai/sessions": "50"}
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "requests": {"cpu": "200m", "memory": "512Mi", "nvidia.com/gpu": "1"},
        "limits": {"cpu": "2000m", "memory": "4Gi", "nvidia.com/gpu": "1"},
    }
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "TENANT_ID": "acme", "SERVICE_TYPE": "callbot", "REDIS_URL": "redis://redis-service:6379",
    }  # fmt: skip
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": 8080}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 8080}
    port = of_kind(objects, "Service")["callbot-service"]["spec"]["ports"][0]
    assert (port["port"], port["targetPort"]) == (80, 8080)


def test_secrets_are_named_and_never_written() -> None:
    assert not of_kind(rendered(MIXED, include_ingress=True), "Secret")


def test_options_choose_what_is_there() -> None:
    bare = {o["kind"] for o in rendered(MIXED, include_monitoring=False)}
    full = {o["kind"] for o in rendered(MIXED, include_ingress=True)}
    assert full - bare == {"Ingress", "ServiceMonitor", "PrometheusRule"}
    assert {o["kind"] for o in rendered(MIXED, include_ingress=True, route="httproute")} - bare == {
        "HTTPRoute", "ServiceMonitor", "PrometheusRule",
    }  # fmt: skip
    elsewhere = rendered(MIXED, namespace="other")
    assert {o["metadata"].get("namespace", o["metadata"]["name"]) for o in elsewhere} == {"other"}
    with pytest.raises(ValidationFailed):
        ManifestOptions(namespace="Not/A name")


@pytest.mark.parametrize(
    ("name", "value"),
    [("ingress_domain", "Not A Domain"), ("ingress_domain", "a..b"), ("ingress_class", "x/y"), ("tls_issuer", "-x"),
     ("ingress_namespace", "a.b"), ("monitoring_namespace", "A"), ("gateway", "a/b/c"), ("route", "mesh"),
     ("gpu_nodes", "no-value")],
)  # fmt: skip
def test_a_name_that_kubernetes_would_refuse_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        ManifestOptions(**{name: value})
    assert [f["field"] for f in caught.value.details["fields"]] == [name]


@pytest.mark.parametrize("tenant_id", ["1e3", "0123", "y", "no", "null", "0o7"])
def test_ids_that_look_like_something_else_stay_text(tenant_id: str) -> None:
    text = to_yaml(rendered({"chatbot": 1}, tenant_id=tenant_id))
    assert f'ecp.ai/tenant: "{tenant_id}"' in text or f"ecp.ai/tenant: '{tenant_id}'" in text
    assert validate_manifest(tenant_id, text).valid


def test_json_holds_the_same_objects() -> None:
    objects = rendered(MIXED)
    assert yaml.safe_load(to_json(objects))["items"] == list(objects)


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / f"{case}.yaml").write_text(golden(case), encoding="utf-8")
