"""The Pod Security Standards, one control after the other."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ecpmon.kube.standards import Standard, standard_met, violations
from ecpmon.kube.templates import pod_templates

_CAREFUL = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def found(pod: str = "{}", container: str = "{}", security: str = "{}") -> list[Any]:
    own = {**_CAREFUL, **yaml.safe_load(security)}
    one = {"name": "a", "image": "a:1", "securityContext": own, **yaml.safe_load(container)}
    body = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [one], **yaml.safe_load(pod)}}
    [template] = pod_templates(body)
    return list(violations(template))


_BASELINE = [
    ("pod", "hostNetwork: true", "spec.hostNetwork"),
    ("pod", "hostPID: true", "spec.hostPID"),
    ("pod", "hostIPC: true", "spec.hostIPC"),
    ("pod", "volumes: [{name: a, hostPath: {path: /}}]", "spec.volumes.0.hostPath"),
    ("pod", "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}", "spec.securityContext.sysctls.0.name"),
    ("pod", "securityContext: {windowsOptions: {hostProcess: true}}",
     "spec.securityContext.windowsOptions.hostProcess"),
    ("pod", "securityContext: {seccompProfile: {type: Unconfined}}", "spec.securityContext.seccompProfile.type"),
    ("container", "ports: [{containerPort: 80, hostPort: 80}]", "spec.containers.0.ports.0.hostPort"),
    ("container", "livenessProbe: {httpGet: {host: 10.0.0.1}}", "spec.containers.0.livenessProbe.httpGet.host"),
    ("container", "lifecycle: {preStop: {tcpSocket: {host: a}}}", "spec.containers.0.lifecycle.preStop.tcpSocket.host"),
    ("security", "privileged: true", "spec.containers.0.securityContext.privileged"),
    ("security", "procMount: Unmasked", "spec.containers.0.securityContext.procMount"),
    ("security", "capabilities: {drop: [ALL], add: [SYS_ADMIN]}",
     "spec.containers.0.securityContext.capabilities.add.0"),
    ("security", "seccompProfile: {type: Unconfined}", "spec.containers.0.securityContext.seccompProfile.type"),
    ("security", "appArmorProfile: {type: Unconfined}", "spec.containers.0.securityContext.appArmorProfile.type"),
    ("security", "seLinuxOptions: {type: spc_t}", "spec.containers.0.securityContext.seLinuxOptions.type"),
    ("security", "seLinuxOptions: {user: root}", "spec.containers.0.securityContext.seLinuxOptions.user"),
]  # fmt: skip
_RESTRICTED = [
    ("pod", "volumes: [{name: a, nfs: {server: a, path: /}}]", "spec.volumes.0.nfs"),
    ("pod", "securityContext: {runAsUser: 0}", "spec.securityContext.runAsUser"),
    ("security", "runAsUser: 0", "spec.containers.0.securityContext.runAsUser"),
    ("security", "runAsNonRoot: false", "spec.containers.0.securityContext.runAsNonRoot"),
    (
        "security",
        "allowPrivilegeEscalation: true",
        "spec.containers.0.securityContext.allowPrivilegeEscalation",
    ),
    ("security", "capabilities: {drop: [NET_RAW]}", "spec.containers.0.securityContext.capabilities.drop"),
    (
        "security",
        "capabilities: {drop: [ALL], add: [CHOWN]}",
        "spec.containers.0.securityContext.capabilities.add.0",
    ),
    ("security", "seccompProfile: null", "spec.containers.0.securityContext.seccompProfile"),
]


@pytest.mark.parametrize(("where", "text", "path"), _BASELINE)
def test_the_baseline_forbids(where: str, text: str, path: str) -> None:
    told = found(**{where: f"{{{text}}}"})
    assert (Standard.BASELINE, path) in {(v.standard, v.path) for v in told}
    assert standard_met(told) is Standard.PRIVILEGED


@pytest.mark.parametrize(("where", "text", "path"), _RESTRICTED)
def test_restricted_forbids_more(where: str, text: str, path: str) -> None:
    told = found(**{where: f"{{{text}}}"})
    assert [(v.standard, v.path) for v in told] == [(Standard.RESTRICTED, path)]
    assert standard_met(told) is Standard.BASELINE


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("pod", "{}"), ("pod", "hostNetwork: false"),
        ("pod", "volumes: [{name: a, emptyDir: {}}, {name: b, secret: {}}]"),
        ("pod", "securityContext: {sysctls: [{name: net.ipv4.tcp_rmem, value: '1'}]}"),
        ("container", "ports: [{containerPort: 80, hostPort: 0}]"), ("security", "seLinuxOptions: {type: container_t}"),
        ("security", "capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}"), ("security", "procMount: Default"),
        ("security", "seccompProfile: {type: Localhost, localhostProfile: a}"), ("security", "runAsUser: 1000"),
        ("pod", "{os: {name: windows}}"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_not_named(where: str, text: str) -> None:
    told = found(**{where: text if text.startswith("{") else f"{{{text}}}"})
    assert told == []
    assert standard_met(told) is Standard.RESTRICTED


def test_the_pod_may_say_it_for_all_of_its_containers() -> None:
    said = "{securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}}"
    assert found(said, security="{runAsNonRoot: null, seccompProfile: null}") == []


def test_what_only_linux_knows_is_not_asked_of_windows() -> None:
    told = found(
        "{os: {name: windows}}", security="{capabilities: null, seccompProfile: null, runAsNonRoot: null}"
    )
    assert [v.code for v in told] == ["MAY_BE_ROOT"]


def test_init_and_ephemeral_containers_are_looked_at_as_well() -> None:
    told = found("{initContainers: [{securityContext: {privileged: true}}], ephemeralContainers: [{}]}")
    assert {v.path.split(".")[1] for v in told} == {"initContainers", "ephemeralContainers"}
    assert "spec.initContainers.0.securityContext.privileged" in {v.path for v in told}
