"""Pod templates wherever they occur, and what their pods ask for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import yaml

from ecpmon.kube.reckoning import pod_needs
from ecpmon.kube.templates import pod_templates

_POD = "{metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a}]}", [("spec", 1)]),
        (f"apiVersion: v1\nkind: ReplicationController\nspec: {{replicas: 50, template: {_POD}}}",
         [("spec.template.spec", 50)]),
        (f"apiVersion: apps/v1\nkind: ReplicaSet\nspec: {{template: {_POD}}}", [("spec.template.spec", 1)]),
        (f"apiVersion: apps/v1\nkind: Deployment\nspec: {{replicas: 0, template: {_POD}}}",
         [("spec.template.spec", 0)]),
        (f"apiVersion: batch/v1\nkind: Job\nspec: {{parallelism: 3, completions: 2, template: {_POD}}}",
         [("spec.template.spec", 2)]),
        (f"apiVersion: batch/v1\nkind: Job\nspec: {{suspend: true, template: {_POD}}}", [("spec.template.spec", 0)]),
        (f"apiVersion: batch/v1\nkind: CronJob\nspec: {{jobTemplate: {{spec: {{parallelism: 2, template: {_POD}}}}}}}",
         [("spec.jobTemplate.spec.template.spec", 2)]),
        (f"apiVersion: v1\nkind: PodTemplate\ntemplate: {_POD}", [("template.spec", 0)]),
        (f"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {{replicas: 4, template: {_POD}}}",
         [("spec.template.spec", 4)]),
        (f"apiVersion: x.io/v1\nkind: Team\nspec: {{groups: [{{replicas: 2, template: {_POD}}}, "
         f"{{template: {_POD}}}]}}",
         [("spec.groups.0.template.spec", 2), ("spec.groups.1.template.spec", 1)]),
        ("apiVersion: x.io/v1\nkind: Serving\nspec: {predictor: {minReplicas: 2, containers: [{image: a}]}}",
         [("spec.predictor", 2)]),
        ("apiVersion: x.io/v1\nkind: Database\nspec: {instances: 3, resources: {limits: {cpu: 1}}}", [("spec", 3)]),
        ("apiVersion: v1\nkind: ConfigMap\ndata: {containers: [{image: a}]}", []),
        ("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {template: {spec: 1}}", []),
        ("apiVersion: apps/v1\nkind: Deployment\nspec: 3", [("spec.template.spec", 1)]),
    ],
)  # fmt: skip
def test_pods_are_counted_wherever_they_are_made(text: str, found: list[tuple[str, int]]) -> None:
    assert [(t.path, t.pods) for t in pod_templates(yaml.safe_load(text))] == found


def needs(text: str, side: Any = "requests", **more: Any) -> dict[str, Decimal]:
    return pod_needs(yaml.safe_load(text), side, **more)


def test_init_containers_and_sidecars_count_as_the_scheduler_counts() -> None:
    pod = """
    containers: [{resources: {requests: {cpu: 100m, memory: 1Gi}}}, {resources: {limits: {cpu: 100m}}}]
    initContainers:
      - {resources: {requests: {cpu: 200m}}}
      - {restartPolicy: Always, resources: {requests: {cpu: 50m, memory: 1Gi}}}
      - {resources: {requests: {cpu: 300m, memory: 512Mi}}}
    overhead: {cpu: 10m}
    """
    # 300m beside the sidecar are more than both containers beside it; memory is most while these run.
    assert needs(pod) == {"cpu": Decimal("0.36"), "memory": Decimal(2 * 1024**3)}


def test_what_is_stated_for_the_pod_replaces_the_sum() -> None:
    pod = "{resources: {limits: {cpu: 1}}, containers: [{resources: {requests: {cpu: 200m, nvidia.com/gpu: 1}}}]}"
    assert needs(pod) == {"cpu": Decimal(1), "nvidia.com/gpu": Decimal(1)}


def test_limits_stand_in_for_requests_and_defaults_for_what_is_not_stated() -> None:
    defaults = [{"default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "50m"}}]
    pod = "{containers: [{resources: {limits: {cpu: 200m}}}]}"
    assert needs(pod, defaults=defaults)["cpu"] == Decimal("0.2")
    assert needs("{containers: [{}]}", defaults=defaults) == {"cpu": Decimal("0.05")}
    assert needs("{containers: [{}]}", "limits", defaults=defaults)["memory"] == 1024**3


def test_a_pod_without_a_limit_gets_none_by_its_overhead() -> None:
    pod = "{containers: [{resources: {requests: {cpu: 1}}}], overhead: {cpu: 100m}}"
    assert needs(pod, "limits") == {}
    assert needs(pod, "limits", sound=True) == {"cpu": Decimal("1.1")}
