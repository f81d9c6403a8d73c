"""Which manifests the simulator can be given."""

from __future__ import annotations

import pytest
from test_validation_findings import check, one, workload

from ecpmon.orchestrator.validation.simulated import SERVED
from ecpmon.simulator.kube.catalogue import RESOURCES


def test_the_kinds_are_those_that_the_simulator_serves() -> None:
    served: dict[str, set[str]] = {}
    for resource in RESOURCES:
        if "create" in resource.verbs:
            served.setdefault(resource.api_version, set()).add(resource.kind)
    assert {api: set(kinds) for api, kinds in SERVED.items()} == served


@pytest.mark.parametrize(
    ("text", "compatible"),
    [
        (workload(), True),
        (workload("StatefulSet", serviceName="a"), True),
        (one("Kafka", "spec: {}", api="kafka.strimzi.io/v1"), False),
        (one("PodTemplate", "template: {spec: {containers: [{name: a, image: 'a:1'}]}}"), False),
        (workload(replicas=-1), False),
        (workload(replicas=2**31 - 1), True),
    ],
)  # fmt: skip
def test_what_the_simulator_would_refuse_is_not_compatible(text: str, compatible: bool) -> None:
    assert check(text).simulator_compatible is compatible
