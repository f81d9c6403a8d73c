"""What an API server says, in its own words, and what it is asked beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecpmon.errors import DeploymentFailed, KubernetesUnavailable
from ecpmon.model.deployments import Release
from ecpmon.orchestrator.deployers import cluster
from ecpmon.orchestrator.deployers.cluster import Cluster, ClusterAddress, Refused
from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer
from ecpmon.orchestrator.deployers.rollout import holds


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (
            403,
            json.dumps({"kind": "Status", "message": "exceeded quota: ecp-quota"}).encode(),
            "exceeded quota: ecp-quota",
        ),
        (404, b"404 page not found\n", "404 page not found"),
        (401, b"", "HTTP 401"),
        (409, b"{}", "HTTP 409"),
    ],
)
def test_a_refusal_is_told_in_the_servers_own_words(status: int, content: bytes, words: str) -> None:
    with pytest.raises(Refused) as caught:
        cluster._answer(status, content)
    assert (caught.value.status, str(caught.value)) == (status, words)


def test_so_is_an_answer_that_is_none() -> None:
    with pytest.raises(KubernetesUnavailable, match="503: etcd is away"):
        cluster._answer(503, b"etcd is   away")


class Server(Cluster):
    """Discovery of a cluster with half of an operator; `refuses` to tell."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__(ClusterAddress(url="http://127.0.0.1:1"))
        self.asked: list[str] = []
        self.refuses = refuses

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        self.asked.append(path)
        if self.refuses:
            raise Refused(403, 'forbidden: User "x" cannot get path')
        if path == "/apis/monitoring.coreos.com/v1":
            return {"kind": "APIResourceList", "resources": [{"name": "servicemonitors"}]}
        raise Refused(404, "404 page not found")


async def test_discovery_is_asked_once_per_version() -> None:
    server = Server()
    assert await server.without({"ServiceMonitor", "PrometheusRule", "HTTPRoute"}) == {
        "PrometheusRule", "HTTPRoute",
    }  # fmt: skip
    assert server.asked == ["/apis/gateway.networking.k8s.io/v1", "/apis/monitoring.coreos.com/v1"]


async def test_a_server_that_does_not_tell_its_kinds_is_an_error_of_its_words() -> None:
    deployer = KubernetesDeployer(ClusterAddress(url="http://127.0.0.1:1"))
    deployer._cluster = Server(refuses=True)
    objects = ({"kind": "HTTPRoute", "metadata": {"name": "x"}},)
    with pytest.raises(DeploymentFailed, match='forbidden: User "x" cannot get path'):
        await deployer.apply(Release("d", "acme", "ecp-ai-acme", objects), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("live", "wanted", "answer"),
    [
        ({"a": 1, "added": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": {}}, True),
        ({}, {"a": {"b": 1}}, False),
        ({"cpu": "2"}, {"cpu": "2000m"}, True),
        ({"cpu": "2"}, {"cpu": "2001m"}, False),
        ([{"name": "x", "default": 1}], [{"name": "x"}], True),
        ([{"name": "x"}, {"name": "y"}], [{"name": "x"}], False),
        ("1.0", "1.00", True),
        ("web:1", "web:2", False),
        (None, {"a": 1}, False),
        (True, 1, True),
    ],
)
def test_a_live_object_holds_what_was_asked_for(live: Any, wanted: Any, answer: bool) -> None:
    assert holds(live, wanted) is answer
