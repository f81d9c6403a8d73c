"""A Kubernetes API server through the official asynchronous client; its exceptions end here.

Objects are plain documents in and out. The client is imported on first use: it is large, and most processes never
talk to a cluster.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

from ecpmon.errors import DeploymentFailed, KubernetesUnavailable

Document = dict[str, Any]

FIELD_MANAGER: Final = "ecp-orchestrator"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
_MOST_WORDS: Final = 500
# Kind -> API version and plural: every kind a tenant can have, and the only ones that are ever pruned.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "ResourceQuota": ("v1", "resourcequotas"),
    "LimitRange": ("v1", "limitranges"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "ConfigMap": ("v1", "configmaps"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Service": ("v1", "services"),
    "Deployment": ("apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "Ingress": ("networking.k8s.io/v1", "ingresses"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "ServiceMonitor": ("monitoring.coreos.com/v1", "servicemonitors"),
    "PrometheusRule": ("monitoring.coreos.com/v1", "prometheusrules"),
}

# Of those, kinds that operators bring along: a cluster may do without them.
EXTENSIONS: Final = frozenset({"HTTPRoute", "ServiceMonitor", "PrometheusRule"})


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Where the API server is: `url` (no authentication, e.g. the simulator), else `kubeconfig` with its `context`
    (None: its current one), else the service account of the pod we run in. `timeout` in seconds for each call."""

    url: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    timeout: float = 15.0


class Refused(Exception):
    """The API server said no; stays within the deployer. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def kind_path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """The API path of a collection or an object. Raises DeploymentFailed for a kind no tenant has."""
    if kind == "Namespace":
        version, plural = "v1", "namespaces"
    elif kind == "Pod":
        version, plural = "v1", "pods"
    elif kind in KINDS:
        version, plural = KINDS[kind]
    else:
        raise DeploymentFailed(f"objects of kind {kind} cannot be deployed; known are {', '.join(KINDS)}")
    root = "/apis/" if "/" in version else "/api/"
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{version}{within}/{plural}" + (f"/{quote(name, safe='')}" if name is not None else "")


def path_of(document: Mapping[str, Any]) -> str:
    """The API path of an object."""
    metadata = document["metadata"]
    namespace = None if document["kind"] == "Namespace" else metadata["namespace"]
    return kind_path(document["kind"], namespace, metadata["name"])


class Cluster:
    """Every call raises KubernetesUnavailable for no answer or a 5xx or 429, and Refused for the other refusals."""

    def __init__(self, address: ClusterAddress) -> None:
        self._address = address
        self._client: Any = None
        self._opening = asyncio.Lock()

    def move(self, url: str) -> None:
        """Another API server, before anything was asked of this one."""
        self._address = replace(self._address, url=url)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def find(self, path: str) -> Document | None:
        """The object at `path`, None when there is none."""
        try:
            return await self.call("GET", path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    async def items(self, path: str, labels: Mapping[str, str] | None = None) -> list[Document]:
        """A collection; [] where the server does not know the kind (a missing custom resource)."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        try:
            found = await self.call("GET", path, query={"labelSelector": selector} if selector else None)
        except Refused as refused:
            if refused.status == 404:
                return []
            raise
        return list(found.get("items") or ())

    async def without(self, kinds: Collection[str]) -> frozenset[str]:
        """Those of `kinds` that the server does not know, by its discovery."""
        versions = {KINDS[kind][0] for kind in kinds if kind in KINDS}
        served = {version: await self._served(version) for version in sorted(versions)}
        return frozenset(
            kind for kind in kinds if kind in KINDS and KINDS[kind][1] not in served[KINDS[kind][0]]
        )

    async def _served(self, version: str) -> frozenset[str]:
        """The plurals of an API version; none where the server does not know it."""
        found = await self.find(f"/{'apis' if '/' in version else 'api'}/{version}")
        return frozenset(str(r.get("name")) for r in (found or {}).get("resources") or ())

    async def apply(
        self, document: Mapping[str, Any], manager: str = FIELD_MANAGER, *, force: bool = True
    ) -> Document:
        """Server-side apply; the object as it is afterwards."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self.call("PATCH", path_of(document), query=query, body=document, content_type=APPLY)

    async def merge(self, path: str, change: Mapping[str, Any]) -> Document:
        return await self.call(
            "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=change, content_type=MERGE
        )

    async def delete(self, path: str) -> bool:
        """False when it was gone already. What it owns goes with it, in the background."""
        try:
            await self.call("DELETE", path, query={"propagationPolicy": "Background"})
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Document:
        """One request and its JSON answer."""
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            async with asyncio.timeout(self._address.timeout):
                client = await self._opened()
                request = await client.param_serialize(
                    method,
                    target,
                    header_params={"Accept": "application/json", "Content-Type": content_type},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                response = await client.call_api(*request, _request_timeout=self._address.timeout)
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubernetesUnavailable("the Kubernetes API does not answer") from error
        return _answer(response.status, content)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._client = await _client(self._address)
        return self._client


async def _client(address: ClusterAddress) -> Any:
    # In a thread: importing it takes longer than the event loop may stand still.
    client: Any = await asyncio.to_thread(import_module, "kubernetes.aio.client")
    config: Any = await asyncio.to_thread(import_module, "kubernetes.aio.config")
    made = client.Configuration(host=address.url)
    try:
        if address.url is None and address.kubeconfig is not None:
            await config.load_kube_config(address.kubeconfig, address.context, made, persist_config=False)
        elif address.url is None:
            config.load_incluster_config(made)
    except config.ConfigException as error:
        raise KubernetesUnavailable(f"the cluster's configuration cannot be used: {error}") from error
    return client.ApiClient(made)


def _answer(status: int, content: bytes) -> Document:
    try:
        document = json.loads(content) if content else {}
    except ValueError:
        document = None
    if status >= 500 or status == 429:
        raise KubernetesUnavailable(
            f"the Kubernetes API answered {status}: {_message(document, content, status)}"
        )
    if status >= 300:
        raise Refused(status, _message(document, content, status))
    if not isinstance(document, dict):
        raise KubernetesUnavailable("the Kubernetes API answered with something other than an object")
    return document


def _message(document: Any, content: bytes, status: int) -> str:
    """The server's own words: of its Status, or what it wrote instead of one, such as `404 page not found`."""
    message = document.get("message") if isinstance(document, dict) else None
    if not message and not isinstance(document, dict):
        message = " ".join(content[:_MOST_WORDS].decode("utf-8", "replace").split())
    return str(message or f"HTTP {status}")
