"""What makes rendered pods start, be reached and be placed on a real cluster, where only mounts can be written to."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.manifests import Manifest
from ecpmon.orchestrator.sizing import plan_tenant
from tests.unit.orchestrator.rendering import of_kind, rendered, rendered_plan

MIXED = {"callbot": 50, "chatbot": 100, "advisor": 25, "nlp": 10, "stt": 30}
# What each image writes to beside /tmp, and the user that its makers run it as; ours are told theirs.
IMAGES = {
    "nginxinc/nginx-unprivileged": (set(), 101),
    "redis": ({"/data"}, 999),
    "qdrant/qdrant": ({"/qdrant/storage", "/qdrant/snapshots", "/qdrant/init"}, 1000),
}


def pods(objects: tuple[Manifest, ...]) -> dict[str, dict[str, Any]]:
    return {n: d["spec"]["template"]["spec"] for n, d in of_kind(objects, "Deployment").items()}


@pytest.mark.parametrize("name", default_catalogue().services)
def test_every_path_that_an_image_writes_to_is_a_volume_of_its_user(name: str) -> None:
    pod = pods(rendered({name: 10}))[name]
    [container] = pod["containers"]
    image = container["image"].partition(":")[0]
    written, user = ({"/tmp"}, 10001) if image.startswith("ecp-ai/") else IMAGES[image]
    volumes = {v["name"]: v for v in pod["volumes"]}
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert writable == written | {"/tmp"}
    assert {m["name"] for m in container["volumeMounts"]} == volumes.keys()
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (user, user)


def test_the_vector_database_writes_its_marker_where_it_can() -> None:
    [container] = pods(rendered({"vector-db": 10}))["vector-db"]["containers"]
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert env["QDRANT_INIT_FILE_PATH"] == "/qdrant/init/.qdrant-initialized"


def test_replicas_are_spread_over_nodes_that_take_them() -> None:
    found = pods(rendered(MIXED))
    for name, pod in found.items():
        gpu = "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]
        assert pod.get("nodeSelector") == ({"nvidia.com/gpu.present": "true"} if gpu else None), name
        for rule in pod.get("topologySpreadConstraints", ()):
            assert (rule["whenUnsatisfiable"], rule["nodeTaintsPolicy"]) == ("DoNotSchedule", "Honor")
    assert "topologySpreadConstraints" in found["callbot"]
    assert "nodeSelector" not in pods(rendered(MIXED, gpu_nodes=""))["callbot"]
    elsewhere = pods(rendered(MIXED, gpu_nodes="cloud.example.com/accelerator=v100"))["callbot"]
    assert elsewhere["nodeSelector"] == {"cloud.example.com/accelerator": "v100"}


def routes_of(objects: tuple[Manifest, ...]) -> dict[str, str]:
    """Prefix -> where the gateway's nginx sends it."""
    text = of_kind(objects, "ConfigMap")["ecp-routes"]["data"]["default.conf"]
    assert text.count("{") == text.count("}")
    return dict(re.findall(r"location (/[a-z-]+/) \{\n\s+proxy_pass http://([^/;]+)/;", text))


def test_the_gateway_leads_to_every_service_that_answers_users() -> None:
    objects = rendered(MIXED, include_ingress=True)
    services = of_kind(objects, "Service")
    routes = routes_of(objects)
    assert routes.keys() == {f"/{name}/" for name in MIXED}
    for prefix, target in routes.items():
        name, _, port = target.partition(":")
        assert name == f"{prefix.strip('/')}-service"
        assert [p["port"] for p in services[name]["spec"]["ports"]] == [int(port)]
    gateway = pods(objects)["nginx"]
    mounts = {m["name"]: m["mountPath"] for m in gateway["containers"][0]["volumeMounts"]}
    assert mounts["routes"] == "/etc/nginx/conf.d"
    assert {"name": "routes", "configMap": {"name": "ecp-routes"}} in gateway["volumes"]
    [rule] = of_kind(objects, "Ingress")["ecp-ingress"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/", "nginx-service")


def test_other_routes_are_other_pods_of_the_gateway_and_the_same_ones_are_not() -> None:
    def stamp(requirements: dict[str, int]) -> str:
        template = of_kind(rendered(requirements), "Deployment")["nginx"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["ecp.ai/routes"])

    assert stamp({"chatbot": 10}) == stamp({"chatbot": 90}) != stamp({"chatbot": 10, "tts": 1})


def test_without_a_gateway_paths_lead_straight_to_the_services() -> None:
    catalogue = default_catalogue()
    kept = {name: spec for name, spec in catalogue.services.items() if name != "nginx"}
    plan = plan_tenant(
        {"chatbot": 5, "tts": 5}, _target(), None, catalogue.model_copy(update={"services": kept})
    )
    of = ({"chatbot": 5, "tts": 5}, "99%")
    [rule] = of_kind(rendered_plan(plan, *of, include_ingress=True), "Ingress")["ecp-ingress"]["spec"][
        "rules"
    ]
    assert {p["path"]: p["backend"]["service"]["name"] for p in rule["http"]["paths"]} == {
        "/chatbot": "chatbot-service", "/tts": "tts-service",
    }  # fmt: skip
    route = of_kind(rendered_plan(plan, *of, include_ingress=True, route="httproute"), "HTTPRoute")[
        "ecp-route"
    ]
    assert [r["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] for r in route["spec"]["rules"]] == [
        "/"
    ] * 2
    alone = rendered({"redis": 5}, include_ingress=True)
    assert not of_kind(alone, "Ingress")


def _target() -> Any:
    from ecpmon.model.tenants import SlaTarget

    return SlaTarget(availability="99%")


def test_the_entrance_is_as_it_was_chosen_and_the_policy_follows() -> None:
    objects = rendered(
        MIXED, include_ingress=True, ingress_domain="apps.example.com", ingress_class="traefik",
        tls_issuer="letsencrypt", ingress_namespace="traefik", monitoring_namespace="observability",
    )  # fmt: skip
    ingress = of_kind(objects, "Ingress")["ecp-ingress"]
    assert ingress["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["spec"]["tls"] == [{"hosts": ["acme.apps.example.com"], "secretName": "ecp-tls"}]
    assert let_in(objects) == {"traefik", "observability"}
    assert let_in(rendered(MIXED, include_monitoring=False)) == set()


def test_a_gateway_of_the_cluster_is_a_choice() -> None:
    objects = rendered(MIXED, include_ingress=True, route="httproute", gateway="gateways/public",
                       ingress_domain="apps.example.com")  # fmt: skip
    spec = of_kind(objects, "HTTPRoute")["ecp-route"]["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert spec["hostnames"] == ["acme.apps.example.com"]
    [rule] = spec["rules"]
    assert rule["backendRefs"] == [{"name": "nginx-service", "port": 80}]
    assert not of_kind(objects, "Ingress")
    assert {"gateways", "ingress-nginx"} <= let_in(objects)


def policy(objects: tuple[Manifest, ...]) -> Any:
    return of_kind(objects, "NetworkPolicy")["ecp-isolation"]["spec"]


def let_in(objects: tuple[Manifest, ...]) -> set[str]:
    [rule] = policy(objects)["ingress"]
    return {
        p["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for p in rule["from"]
        if "namespaceSelector" in p
    }


def may_reach(objects: tuple[Manifest, ...], address: str, protocol: str, port: int) -> bool:
    """Whether the policy lets a pod reach an address that is no pod's."""
    for rule in policy(objects)["egress"]:
        blocks = [t["ipBlock"] for t in rule["to"] if "ipBlock" in t]
        inside = any(
            ip_address(address) in ip_network(b["cidr"])
            and not any(ip_address(address) in ip_network(e) for e in b.get("except", ()))
            for b in blocks
        )
        ports = rule.get("ports")
        if inside and (ports is None or {"protocol": protocol, "port": port} in ports):
            return True
    return False


def test_names_are_resolved_by_the_cache_of_the_node_too_and_metadata_stays_out_of_reach() -> None:
    objects = rendered(MIXED)
    assert may_reach(objects, "169.254.20.10", "UDP", 53)
    assert may_reach(objects, "169.254.20.10", "TCP", 53)
    assert not may_reach(objects, "169.254.20.10", "TCP", 443)
    assert not may_reach(objects, "169.254.169.254", "TCP", 443)
    assert not may_reach(objects, "8.8.8.8", "UDP", 53)


def redis_of(objects: tuple[Manifest, ...]) -> Any:
    env = pods(objects)["chatbot"]["containers"][0]["env"]
    return next(e for e in env if e["name"] == "REDIS_URL")


def test_another_redis_is_handed_on_and_can_be_reached() -> None:
    assert redis_of(rendered(MIXED))["value"] == "redis://redis-service:6379"
    objects = rendered(MIXED, redis_url="rediss://cache.example.com:6380/1")
    assert redis_of(objects)["value"] == "rediss://cache.example.com:6380/1"
    assert may_reach(objects, "192.0.2.7", "TCP", 6380)
    assert not may_reach(rendered(MIXED), "192.0.2.7", "TCP", 6380)


def test_a_password_of_it_is_a_key_of_the_secret_and_nowhere_else() -> None:
    objects = rendered(MIXED, redis_url="redis://:hunter2@cache.example.com")
    assert redis_of(objects)["valueFrom"] == {"secretKeyRef": {"name": "ecp-secrets", "key": "REDIS_URL"}}
    assert "hunter2" not in json.dumps(objects)
    assert may_reach(objects, "192.0.2.7", "TCP", 6379)


@settings(max_examples=10, deadline=None)
@given(st.sets(st.sampled_from(["callbot", "chatbot", "advisor", "nlp", "stt", "tts"]), min_size=1))
def test_the_gateway_answers_for_exactly_the_services_of_the_plan(names: set[str]) -> None:
    objects = rendered(dict.fromkeys(names, 5), "99%")
    text = of_kind(objects, "ConfigMap")["ecp-routes"]["data"]["default.conf"]
    [said] = re.findall(r"return 404 '(.*)';", text)
    assert {f"/{name}/" for name in names} == routes_of(objects).keys() == {*json.loads(said)["services"]}
