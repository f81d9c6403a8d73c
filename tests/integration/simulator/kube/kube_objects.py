"""Objects that the tests of the Kubernetes API apply."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Document = dict[str, Any]


def namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def deployment(
    name: str, namespace: str, *, replicas: int = 2, image: str = "registry.example/web:1.0"
) -> Document:
    labels = {"app": name}
    container = {
        "name": "web",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def with_image(document: Document, image: str) -> Document:
    changed = deepcopy(document)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed


def service(name: str, namespace: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }


def config_map(name: str, namespace: str, **data: str) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def budget(name: str, namespace: str, *, at_least: int) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{name}-pdb", "namespace": namespace},
        "spec": {"minAvailable": at_least, "selector": {"matchLabels": {"app": name}}},
    }


def autoscaler(name: str, namespace: str) -> Document:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{name}-hpa", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 5,
        },
    }


def quota(namespace: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quota", "namespace": namespace},
        "spec": {"hard": {"requests.cpu": "10", "limits.memory": "20Gi"}},
    }


def service_monitor(name: str, namespace: str) -> Document:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, "endpoints": [{"port": "http"}]},
    }


def stateful_set(name: str, namespace: str) -> Document:
    made = deployment(name, namespace)
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {**made["spec"], "serviceName": name, "volumeClaimTemplates": [claim]}
    return {**made, "kind": "StatefulSet", "spec": spec}


def daemon_set(name: str, namespace: str) -> Document:
    made = deployment(name, namespace)
    return {**made, "kind": "DaemonSet", "spec": {k: v for k, v in made["spec"].items() if k != "replicas"}}


def job(name: str, namespace: str) -> Document:
    container = {"name": "task", "image": "registry.example/task:1.0", "command": ["true"]}
    spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
