"""What the mutations of the corpus do not reach: each rule by the field that a real server names."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import pytest

from ecpmon.kube import schemas
from ecpmon.kube.checks import _RULES, check
from ecpmon.kube.schemas import Node
from tests.apiserver_corpus import bases

Document = dict[str, Any]
SPEC = "spec.template.spec"
CONTAINER = f"{SPEC}.containers[0]"


def with_changes(document: Document, changes: dict[str, Any]) -> Document:
    """`document` with fields set by paths such as `spec.ports.0.port`; None removes one."""
    result = deepcopy(document)
    for path, value in changes.items():
        at: Any = result
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in steps:
            at = at.setdefault(step, {}) if isinstance(step, str) else at[step]
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return result


def fields(document: Document, old: Document | None = None) -> set[str]:
    verdict = check(document, old=old)
    assert verdict.findings.fine, verdict.findings
    return {cause.field for cause in verdict.causes}


POD_SPEC: list[tuple[dict[str, Any], set[str]]] = [
    ({"nodeSelector": {"a": "b c"}}, {f"{SPEC}.nodeSelector"}),
    ({"hostname": "a.b"}, {f"{SPEC}.hostname"}),
    ({"hostnameOverride": "a.b"}, set()),
    ({"hostnameOverride": "A_b"}, {f"{SPEC}.hostnameOverride"}),
    ({"hostnameOverride": "a." * 32 + "a", "setHostnameAsFQDN": True}, {f"{SPEC}.hostnameOverride"}),
    ({"activeDeadlineSeconds": 0}, {f"{SPEC}.activeDeadlineSeconds"}),
    ({"dnsPolicy": "None"}, {f"{SPEC}.dnsConfig"}),
    ({"dnsConfig": {"nameservers": ["x"]}}, {f"{SPEC}.dnsConfig.nameservers[0]"}),
    ({"hostAliases": [{"ip": "1.2.3", "hostnames": ["A_"]}]},
     {f"{SPEC}.hostAliases[0].ip", f"{SPEC}.hostAliases[0].hostnames[0]"}),
    ({"priorityClassName": "A"}, {f"{SPEC}.priorityClassName"}),
    ({"preemptionPolicy": "Sometimes"}, {f"{SPEC}.preemptionPolicy"}),
    ({"readinessGates": [{"conditionType": ""}]}, {f"{SPEC}.readinessGates[0].conditionType"}),
    ({"os": {"name": "plan9"}}, {f"{SPEC}.os"}),
    ({"os": {"name": "windows"}, "hostPID": True, "securityContext": {"runAsUser": 1, "windowsOptions": {}}},
     {f"{SPEC}.hostPID", f"{SPEC}.securityContext.runAsUser"}),
    ({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}},
     {f"{SPEC}.securityContext.windowsOptions"}),
    ({"hostUsers": False, "hostNetwork": True, "hostIPC": True}, {f"{SPEC}.hostNetwork", f"{SPEC}.HostIPC"}),
    ({"schedulerName": "My scheduler", "terminationGracePeriodSeconds": -1}, set()),
    ({"overhead": {"x": "1"}}, {f"{SPEC}.overhead[x]"}),
    ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, {f"{SPEC}.schedulingGates[1]"}),
    ({"securityContext": {"runAsUser": -1, "fsGroup": 2**31}},
     {f"{SPEC}.securityContext.runAsUser", f"{SPEC}.securityContext.fsGroup"}),
    ({"securityContext": {"supplementalGroups": [1, -1]}}, {f"{SPEC}.securityContext.supplementalGroups[1]"}),
    ({"securityContext": {"sysctls": [{"name": ""}, {"name": "a.b"}, {"name": "a.b"}]}},
     {f"{SPEC}.securityContext.sysctls[0].name", f"{SPEC}.securityContext.sysctls[2].name"}),
    ({"hostPID": True, "shareProcessNamespace": True}, {f"{SPEC}.shareProcessNamespace"}),
    ({"ephemeralContainers": [{"name": "e", "image": "i"}]}, {f"{SPEC}.ephemeralContainers"}),
    ({"tolerations": [{"operator": "Equal", "value": "x"}]}, {f"{SPEC}.tolerations[0].operator"}),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, {f"{SPEC}.tolerations[0].operator"}),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 3}]}, {f"{SPEC}.tolerations[0].effect"}),
    ({"tolerations": [{"key": "a", "effect": "Never"}]}, {f"{SPEC}.tolerations[0].effect"}),
    ({"topologySpreadConstraints": [
        {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 0}]},
     {f"{SPEC}.topologySpreadConstraints[0].maxSkew", f"{SPEC}.topologySpreadConstraints[0].minDomains"}),
    ({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["A"]}]}}},
     {f"{SPEC}.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace",
      f"{SPEC}.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey"}),
    ({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 101, "preference": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": []}]}}]}}},
     {f"{SPEC}.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
      f"{SPEC}.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
      ".preference.matchExpressions[0].values"}),
    ({"resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}}},
     {f"{SPEC}.resources.requests[nvidia.com/gpu]", f"{SPEC}.resources.limits"}),
    ({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]}, {f"{SPEC}.volumes[0].hostPath"}),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b", "type": "Door"}}]},
     {f"{SPEC}.volumes[0].hostPath.path", f"{SPEC}.volumes[0].hostPath.type"}),
    ({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../x"}]}}]},
     {f"{SPEC}.volumes[0].secret.items[0].path"}),
    ({"volumes": [{"name": "v", "nfs": {"path": "x"}}]},
     {f"{SPEC}.volumes[0].nfs.server", f"{SPEC}.volumes[0].nfs.path"}),
    ({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]},
     {f"{SPEC}.volumes[0].persistentVolumeClaim.claimName"}),
    ({"volumes": [{"name": "v", "csi": {}}]}, {f"{SPEC}.volumes[0].csi.driver"}),
    ({"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "x"}]}}]},
     {f"{SPEC}.volumes[0].downwardAPI"}),
    ({"volumes": [{"name": "v", "downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.name"}}]}}]},
     {f"{SPEC}.volumes[0].downwardAPI.path"}),
    ({"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}, set()),
    ({"volumes": [{"name": "v", "image": {}}]}, set()),
    ({"volumes": [{"name": "v", "csi": {"driver": "A_", "nodePublishSecretRef": {}}}]},
     {f"{SPEC}.volumes[0].csi.driver", f"{SPEC}.volumes[0].csi.nodePublishSecretRef.name"}),
    ({"volumes": [{"name": "v", "iscsi": {"targetPortal": "a", "iqn": "x", "lun": 256}}]},
     {f"{SPEC}.volumes[0].iscsi.iqn", f"{SPEC}.volumes[0].iscsi.lun"}),
    ({"dnsConfig": {"searches": [".", "a_b.c.", "A"]}}, {f"{SPEC}.dnsConfig.searches[2]"}),
    ({"overhead": {"cpu": "-1"}}, {f"{SPEC}.overhead.limits[cpu]"}),
    ({"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": " "}}},
     {f"{SPEC}.securityContext.appArmorProfile.localhostProfile"}),
    ({"securityContext": {"appArmorProfile": {"type": "X", "localhostProfile": "a"}}},
     {f"{SPEC}.securityContext.appArmorProfile.type"}),
    ({"securityContext": {"sysctls": [{"name": "A.b"}, {"name": "net/core.x"}]}},
     {f"{SPEC}.securityContext.sysctls[0].name"}),
    ({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b c"]}]}}]}}},
     set()),
    ({"schedulingGates": [{}]}, {f"{SPEC}.schedulingGates[0]"}),
    ({"resourceClaims": [{"name": "a", "resourceClaimName": "A"}]},
     {f"{SPEC}.resourceClaims[0].resourceClaimName"}),
    ({"volumes": [{"name": "v", "projected": {"sources": [
        {"serviceAccountToken": {"path": "t", "expirationSeconds": 10}}]}}]},
     {f"{SPEC}.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds"}),
    ({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
     {f"{SPEC}.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes",
      f"{SPEC}.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]"}),
]  # fmt: skip

CONTAINERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}, {"ports[1].name"}),
    ({"ports": [{"containerPort": 1, "name": "a-very-long-name"}]}, {"ports[0].name"}),
    ({"ports": [{"containerPort": 70000, "protocol": "HTTP"}]}, {"ports[0].containerPort", "ports[0].protocol"}),
    ({"ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]}, {"ports[1].hostPort"}),
    ({"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
     {"env[0].valueFrom"}),
    ({"env": [{"name": "A", "valueFrom": {}}]}, {"env[0].valueFrom"}),
    ({"env": [{"name": "", "value": "b"}, {"name": "a=b"}]}, {"env[0].name", "env[1].name"}),
    ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "", "key": "a b"}}}]},
     {"env[0].valueFrom.secretKeyRef.name", "env[0].valueFrom.secretKeyRef.key"}),
    ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.pods"}}}]},
     {"env[0].valueFrom.resourceFieldRef.resource"}),
    ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}}]},
     {"env[0].valueFrom.resourceFieldRef.divisor"}),
    ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a b']"}}}]},
     {"env[0].valueFrom.fieldRef.fieldPath"}),
    ({"envFrom": [{}]}, {"envFrom"}),
    ({"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]}, {"envFrom"}),
    ({"livenessProbe": {}}, {"livenessProbe"}),
    ({"livenessProbe": {"exec": {}, "tcpSocket": {"port": 1}}}, {"livenessProbe.exec.command",
                                                                 "livenessProbe.tcpSocket"}),
    ({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2, "periodSeconds": -1}},
     {"livenessProbe.successThreshold", "livenessProbe.periodSeconds"}),
    ({"readinessProbe": {"grpc": {"port": 0}, "terminationGracePeriodSeconds": 1}},
     {"readinessProbe.grpc.port", "readinessProbe.terminationGracePeriodSeconds"}),
    ({"readinessProbe": {"httpGet": {"port": 1, "scheme": "FTP", "httpHeaders": [{"name": "a b", "value": ""}]}}},
     {"readinessProbe.httpGet.scheme", "readinessProbe.httpGet.httpHeaders"}),
    ({"lifecycle": {"preStop": {"sleep": {"seconds": 99}}}}, {"lifecycle.preStop.sleep"}),
    ({"lifecycle": {"postStart": {}}}, {"lifecycle.postStart"}),
    ({"resources": {"requests": {"nvidia.com/gpu": "1"}}}, {"resources.limits"}),
    ({"resources": {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "2"}}},
     {"resources.requests"}),
    ({"resources": {"limits": {"nvidia.com/gpu": "500m", "cpu": "-1"}}},
     {"resources.limits[nvidia.com/gpu]", "resources.limits[cpu]"}),
    ({"resources": {"limits": {"hugepages-2Mi": "2Mi"}}}, {"resources"}),
    ({"resources": {"claims": [{"name": "c"}]}}, {"resources.claims[0]"}),
    ({"resizePolicy": [{"resourceName": "disk", "restartPolicy": "Never"}]}, {"resizePolicy"}),
    ({"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}}, {"securityContext"}),
    ({"securityContext": {"procMount": "Unmasked"}}, {"securityContext.procMount"}),
    ({"securityContext": {"seccompProfile": {"type": "Localhost"}}},
     {"securityContext.seccompProfile.localhostProfile"}),
    ({"securityContext": {"appArmorProfile": {"type": "RuntimeDefault", "localhostProfile": "x"}}},
     {"securityContext.appArmorProfile.localhostProfile"}),
    ({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../b"}]},
     {"volumeMounts[0].name", "volumeMounts.subPath"}),
    ({"resources": {"limits": {"cpu": "1", "hugepages-2Mi": "3Mi"}}}, {"resources.limits[hugepages-2Mi]"}),
    ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}}}]},
     {"env[0].valueFrom.fieldRef.fieldPath"}),
    ({"restartPolicy": "Sometimes"}, {"restartPolicy"}),
]  # fmt: skip

OTHERS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("deployments", {"spec.strategy": {"type": "Recreate", "rollingUpdate": {}}}, {"spec.strategy.rollingUpdate"}),
    ("deployments", {"spec.strategy.rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}},
     {"spec.strategy.rollingUpdate.maxUnavailable"}),
    ("deployments", {"spec.minReadySeconds": 600}, {"spec.progressDeadlineSeconds"}),
    ("deployments", {"spec.template.spec.initContainers.0.livenessProbe": {"exec": {"command": ["x"]}}},
     {f"{SPEC}.initContainers[0].livenessProbe"}),
    ("deployments", {"spec.template.spec.initContainers.0.name": "web"}, {f"{SPEC}.initContainers[0].name"}),
    ("statefulsets", {"spec.updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
     {"spec.updateStrategy.rollingUpdate"}),
    ("statefulsets", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": -1}}, set()),
    ("statefulsets", {"spec.revisionHistoryLimit": -1}, set()),
    ("statefulsets", {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": ""}}, set()),
    ("statefulsets", {"spec.template.spec.hostname": "A.b", "spec.template.spec.subdomain": "-"}, set()),
    ("statefulsets", {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Ask"}},
     {"spec.persistentVolumeClaimRetentionPolicy.whenDeleted"}),
    ("daemonsets", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
     {"spec.updateStrategy.rollingUpdate.maxSurge"}),
    ("daemonsets", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": 0}},
     {"spec.updateStrategy.rollingUpdate.maxUnavailable"}),
    ("jobs", {"spec.podFailurePolicy": {"rules": [{"action": "FailJob"}]}}, {"spec.podFailurePolicy.rules[0]"}),
    ("jobs", {"spec.podFailurePolicy": {"rules": [
        {"action": "Nap", "onExitCodes": {"operator": "In", "values": [0]}}]}},
     {"spec.podFailurePolicy.rules[0].action", "spec.podFailurePolicy.rules[0].onExitCodes.values[0]"}),
    ("jobs", {"spec.successPolicy": {"rules": [{"succeededIndexes": "0,9"}]}},
     {"spec.successPolicy.rules[0].succeededIndexes"}),
    ("jobs", {"spec.selector": {"matchLabels": {"a": "b"}}}, {"spec.selector", "spec.template.metadata.labels"}),
    ("jobs", {"spec.selector": {"matchLabels": {"a": "b"}}, "spec.template.metadata.labels": {"a": "b"}},
     {"spec.selector"}),
    ("jobs", {"spec.manualSelector": True, "spec.selector": {"matchLabels": {"a": "b"}}},
     {"spec.template.metadata.labels"}),
    ("jobs", {"spec.maxFailedIndexes": 9},
     {"spec.maxFailedIndexes", "spec.backoffLimitPerIndex"}),
    ("cronjobs", {"spec.schedule": "TZ=UTC 0 2 * * *"}, {"spec.schedule"}),
    ("cronjobs", {"spec.schedule": "60 2 * * *"}, {"spec.schedule"}),
    ("cronjobs", {"spec.schedule": "*/0 2 * * *"}, {"spec.schedule"}),
    ("cronjobs", {"spec.schedule": "0 2 * * 7"}, {"spec.schedule"}),
    ("cronjobs", {"spec.schedule": "@sometimes"}, {"spec.schedule"}),
    ("cronjobs", {"spec.schedule": "@every 1h30m", "spec.timeZone": "Local"}, {"spec.timeZone"}),
    ("cronjobs", {"spec.schedule": "0-30/5,45 8-18 ? jan-MAR mon-Fri"}, set()),
    ("services", {"spec.type": "NodePort", "spec.ports.0.nodePort": 80}, {"spec.ports[0].nodePort"}),
    ("services", {"spec.ports.0.nodePort": 30080}, {"spec.ports[0].nodePort"}),
    ("services", {"spec.type": "NodePort", "spec.ports.0.nodePort": 30080, "spec.ports.1.nodePort": 30080},
     {"spec.ports[1].nodePort"}),
    ("services", {"spec.ports.1.port": 80}, {"spec.ports[1]"}),
    ("services", {"spec.type": "ExternalName"}, {"spec.externalName", "spec.ipFamilyPolicy"}),
    ("services", {"spec.type": "LoadBalancer", "spec.clusterIP": "None"}, {"spec.clusterIPs[0]"}),
    ("services", {"spec.clusterIP": "nowhere"}, {"spec.clusterIPs[0]"}),
    ("services", {"spec.externalTrafficPolicy": "Local"}, {"spec.externalTrafficPolicy"}),
    ("services", {"spec.loadBalancerSourceRanges": ["10.0.0.0/8"]}, {"spec.LoadBalancerSourceRanges"}),
    ("services", {"spec.loadBalancerClass": "x/y"}, {"spec.loadBalancerClass"}),
    ("services", {"spec.sessionAffinity": "ClientIP",
                  "spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
     {"spec.sessionAffinityConfig.clientIP.timeoutSeconds"}),
    ("services", {"spec.clusterIP": "None", "spec.ports": []}, set()),
    ("ingresses", {"spec.rules.0.host": "10.0.0.1"}, {"spec.rules[0].host"}),
    ("ingresses", {"metadata.annotations": {"kubernetes.io/ingress.class": "other"}},
     {"annotations.kubernetes.io/ingress.class"}),
    ("services", {"spec.type": "LoadBalancer", "spec.ports.0.port": 10250}, {"spec.ports[0]"}),
    ("services", {"spec.type": "ExternalName", "spec.externalName": "a.example.", "spec.ipFamilyPolicy": None,
                  "spec.internalTrafficPolicy": None}, set()),
    ("ingresses", {"spec.rules.0.host": "*.example.com"}, set()),
    ("ingresses", {"spec.rules.0.host": "*"}, {"spec.rules[0].host"}),
    ("ingresses", {"spec.rules.0.http.paths.0.path": "/a//b"}, {"spec.rules[0].http.paths[0].path"}),
    ("ingresses", {"spec.rules.0.http.paths.0.backend.service.port": {"name": "a", "number": 1}},
     {"spec.rules[0].http.paths[0].backend"}),
    ("ingresses", {"spec.rules.0.http.paths.0.backend.service.port": {"number": 65536}},
     {"spec.rules[0].http.paths[0].backend.service.port.number"}),
    ("ingresses", {"spec.rules.0.http.paths.0.backend": {"resource": {"kind": "Bucket", "name": "b"}}}, set()),
    ("networkpolicies", {"spec.ingress.0.from.1.ipBlock.except": ["10.0.0.0/8"]},
     {"spec.ingress[0].from[1].ipBlock.except[0]"}),
    ("networkpolicies", {"spec.ingress.0.from.1.podSelector": {}}, {"spec.ingress[0].from[1]"}),
    ("networkpolicies", {"spec.egress.0.ports.0.port": None}, {"spec.egress[0].ports[0].endPort"}),
    ("poddisruptionbudgets", {"spec.minAvailable": 1}, {"spec"}),
    ("horizontalpodautoscalers", {"spec.scaleTargetRef.apiVersion": "a/b/c"}, {"spec.scaleTargetRef.apiVersion"}),
    ("horizontalpodautoscalers", {"spec.scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController",
                                                          "name": "x"}}, set()),
    ("horizontalpodautoscalers", {"spec.metrics": [{"type": "Pods", "pods": {"metric": {"name": "a/b"}}}]},
     {"spec.metrics[0].pods.metric.name", "spec.metrics[0].pods.target.type",
      "spec.metrics[0].pods.target.averageValue"}),
    ("horizontalpodautoscalers", {"spec.metrics.0.external": {"metric": {"name": "m"}, "target": {
        "type": "Value", "value": "1", "averageValue": "1"}}},
     {"spec.metrics[0].external.target.value", "spec.metrics[0].external"}),
    ("configmaps", {"data": {"a b": "x", "bin": "y", "..": "z"}}, {"data[a b]", "data[bin]", "data[..]"}),
    ("configmaps", {"data": {"a": "x" * 2**20 + "x"}}, {"[]"}),
    ("secrets", {"type": "kubernetes.io/tls"}, {"data[tls.crt]", "data[tls.key]"}),
    ("secrets", {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "YQ=="}},
     {"data[.dockerconfigjson]"}),
    ("secrets", {"type": "kubernetes.io/basic-auth"}, {"data[username]", "data[password]"}),
    ("secrets", {"stringData": {"a/b": "x"}}, {"data[a/b]"}),
    ("persistentvolumeclaims", {"spec.resources.requests.storage": "0"}, {"spec.resources[storage]"}),
    ("persistentvolumeclaims", {"spec.accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, {"spec.accessModes"}),
    ("persistentvolumeclaims", {"spec.dataSource": {"kind": "Snapshot", "name": "s"}}, set()),
    ("persistentvolumeclaims", {"spec.dataSource": {"kind": "PersistentVolumeClaim"}},
     {"spec.dataSource.name", "spec.dataSourceRef.name"}),
    ("persistentvolumeclaims", {"spec.dataSourceRef": {"kind": "K", "name": "s"}},
     {"spec.dataSource", "spec.dataSourceRef"}),
    ("persistentvolumeclaims", {"spec.dataSourceRef": {"kind": "", "name": "s", "namespace": "b"}}, set()),
    ("persistentvolumeclaims", {"spec.accessModes": ["ReadWriteOncePod", "ReadWriteOncePod"]}, set()),
    ("horizontalpodautoscalers", {"spec.minReplicas": 0}, {"spec.minReplicas", "spec.metrics"}),
    ("horizontalpodautoscalers", {"spec.metrics.0": {"type": "ContainerResource", "containerResource": {
        "name": "gpu", "container": "A", "target": {"type": "Utilization", "averageUtilization": 5}}}},
     {"spec.metrics[0].containerResource.name", "spec.metrics[0].containerResource.container"}),
    ("jobs", {"spec.managedBy": "example"}, {"spec.managedBy"}),
    ("jobs", {"spec.managedBy": "example.com/x"}, set()),
    ("jobs", {"spec.manualSelector": True, "metadata.labels": {}, "spec.selector": {"matchLabels": {"a": "b c"}},
              "spec.template.metadata": {"labels": {"a": "b c"}}},
     {"metadata.labels", "spec.selector.matchLabels", "spec.template.labels"}),
    ("jobs", {"spec.successPolicy": {"rules": [{"succeededIndexes": "x", "succeededCount": 1}]}},
     {"spec.successPolicy.rules[0].succeededIndexes", "spec.successPolicy.rules[0].succeededCount"}),
    ("services", {"spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, set()),
    ("services", {"spec.type": "Nonsense", "spec.ports.0.nodePort": 30001}, {"spec.type"}),
    ("services", {"spec.type": "LoadBalancer", "spec.externalTrafficPolicy": "Local",
                  "spec.healthCheckNodePort": 70000}, {"spec.healthCheckNodePort"}),
    ("services", {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.1/8"]},
     {"spec.LoadBalancerSourceRanges[0]"}),
    ("services", {"spec.ports.0.appProtocol": ""}, {"spec.ports[0].appProtocol"}),
    ("services", {"spec.externalIPs": ["127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.5", "8.8.8.8"]},
     {f"spec.externalIPs[{n}]" for n in range(4)}),
    ("services", {"spec.clusterIPs": ["None"]}, {"spec.clusterIPs"}),
    ("services", {"spec.clusterIP": "None", "spec.clusterIPs": ["None", "10.0.0.1"]}, {"spec.clusterIPs"}),
    ("services", {"spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]},
     {"spec.clusterIPs"}),
    ("services", {"spec.clusterIP": "::1", "spec.ipFamilies": ["IPv4"]}, {"spec.clusterIPs[0]"}),
    ("networkpolicies", {"spec.ingress.0.from.1.ipBlock": {"cidr": "10.0.0.1/8"}},
     {"spec.ingress[0].from[1].ipBlock.cidr"}),
    ("resourcequotas", {"spec.scopeSelector": {"matchExpressions": [{"scopeName": "x", "operator": "In"}]}},
     {f"spec.scopeSelector.matchExpressions.{key}" for key in ("scopeName", "values")}),
    ("resourcequotas", {"spec.hard": {"pods": 2**63}}, set()),
    ("secrets", {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "W10="}},
     {"data[.dockerconfigjson]"}),
    ("secrets", {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}}, {"data[ssh-privatekey]"}),
    ("daemonsets", {"spec.updateStrategy.rollingUpdate": {"maxSurge": "1", "maxUnavailable": 0}},
     {"spec.updateStrategy.rollingUpdate.maxSurge"}),
    ("ingresses", {"spec.rules.0.http.paths.0.backend": {"resource": {"apiGroup": "", "kind": "a", "name": "b"}}},
     {"spec.rules[0].http.paths[0].backend.resource.apiGroup"}),
    ("resourcequotas", {"spec.scopes": ["BestEffort", "NotBestEffort"]}, {"spec.scopes"}),
    ("resourcequotas", {"spec.hard": {"count/deployments.apps": "3", "requests.hugepages-2Mi": "2Mi"}}, set()),
    ("limitranges", {"spec.limits.0.type": "Pod"}, {"spec.limits[0].default", "spec.limits[0].defaultRequest"}),
    ("limitranges", {"spec.limits": [{"type": "PersistentVolumeClaim"}, {"type": "PersistentVolumeClaim"}]},
     {"spec.limits[0].limits", "spec.limits[1].limits", "spec.limits[1].type"}),
    ("limitranges", {"spec.limits.0.maxLimitRequestRatio": {"cpu": "500m"}},
     {"spec.limits[0].maxLimitRequestRatio[cpu]"}),
    ("roles", {"rules.0.nonResourceURLs": ["/metrics"]}, {"rules[0].nonResourceURLs"}),
    ("rolebindings", {"subjects.0.kind": "User", "subjects.0.apiGroup": "x"}, {"subjects[0].apiGroup"}),
    ("configmaps", {"metadata.name": None, "metadata.generateName": "Bad-"},
     {"metadata.generateName", "metadata.name"}),
    ("configmaps", {"metadata.name": None, "metadata.generateName": "good-"}, set()),
    ("configmaps", {"metadata.finalizers": ["mine"]}, {"metadata.finalizers[0]"}),
    ("configmaps", {"metadata.annotations": {"a b": "c"}}, {"metadata.annotations"}),
    ("configmaps", {"metadata.annotations": {"a": "c" * 2**18}}, {"metadata.annotations"}),
    ("configmaps", {"metadata.ownerReferences": [{"kind": "A", "name": "a", "uid": "u"}]},
     {"metadata.ownerReferences.apiVersion"}),
]  # fmt: skip


VOLUMES = [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}, {"name": "e", "emptyDir": {}}]
DEVICES: list[tuple[dict[str, Any], set[str]]] = [
    ({"volumeDevices": [{"name": "d", "devicePath": "/d"}]}, set()),
    ({"volumeDevices": [{"name": "e", "devicePath": "/e"}]}, {"volumeDevices[0].name"}),
    ({"volumeDevices": [{"name": "x", "devicePath": "/x"}]}, {"volumeDevices[0].name"}),
    ({"volumeDevices": [{"name": "d", "devicePath": "/d"}], "volumeMounts": [{"name": "d", "mountPath": "/m"}]},
     {"volumeDevices[0].name", "volumeMounts[0].name"}),
    ({"volumeDevices": [{"name": "d", "devicePath": "/d"}], "volumeMounts": [{"name": "e", "mountPath": "/d"}]},
     {"volumeDevices[0].devicePath", "volumeMounts[0].mountPath"}),
    ({"volumeMounts": [{"name": "e", "mountPath": "/d", "subPath": "a", "subPathExpr": "b"}]},
     {"volumeMounts[0].subPathExpr"}),
    ({"volumeMounts": [{"name": "e", "mountPath": "/d", "readOnly": True, "recursiveReadOnly": "Enabled",
                        "mountPropagation": "HostToContainer"}]}, {"volumeMounts.recursiveReadOnly"}),
]  # fmt: skip
SYSCTLS = [
    ("net.core.somaxconn", "hostNetwork", True),
    ("net/ipv4/conf/eth0.1/forwarding", "hostNetwork", True),
    ("kernel.shmmax", "hostIPC", True),
    ("kernel.sem", "hostNetwork", False),
    ("net.core.somaxconn", "hostIPC", False),
    ("netx.core", "hostNetwork", False),
]


@pytest.mark.parametrize(("change", "expected"), DEVICES)
def test_a_device_is_a_claims_and_is_not_mounted_as_well(change: dict[str, Any], expected: set[str]) -> None:
    container = {"name": "c", "image": "i", **change}
    changes = {f"{SPEC}.volumes": VOLUMES, f"{SPEC}.containers": [container], f"{SPEC}.initContainers": None}
    found = fields(with_changes(bases()["daemonsets"], changes))
    assert found == {f"{CONTAINER}.{field}" for field in expected}


@pytest.mark.parametrize(("name", "host", "refused"), SYSCTLS)
def test_kernel_settings_of_the_node_are_not_the_pods_to_set(name: str, host: str, refused: bool) -> None:
    spec = {"sysctls": [{"name": name, "value": "1"}]}
    base = with_changes(bases()["daemonsets"], {f"{SPEC}.{host}": True, f"{SPEC}.securityContext": spec})
    told = {field for field in fields(base) if "sysctls" in field}
    assert told == ({f"{SPEC}.securityContext.sysctls[0].name"} if refused else set())


def test_two_sources_of_a_projected_volume_write_different_files() -> None:
    def volume(other: str) -> Document:
        sources = [{"configMap": {"name": "a", "items": [{"key": "k", "path": "file"}]}},
                   {"secret": {"name": "b", "items": [{"key": "k", "path": other}]}}]  # fmt: skip
        volumes = [*(bases()["daemonsets"]["spec"]["template"]["spec"].get("volumes") or ()),
                   {"name": "both", "projected": {"sources": sources}}]  # fmt: skip
        return with_changes(bases()["daemonsets"], {f"{SPEC}.volumes": volumes})

    assert fields(volume("other")) == set()
    (told,) = check(volume("file")).causes
    assert told.field.endswith("].projected")
    assert told.place == f"{told.field}.sources[1].secret.items[0].path"


@pytest.mark.parametrize(("change", "expected"), POD_SPEC, ids=lambda value: "-".join(sorted(value))[:60])
def test_a_pod_spec_with_one_mistake(change: dict[str, Any], expected: set[str]) -> None:
    base = with_changes(bases()["daemonsets"], {f"{SPEC}.{key}": value for key, value in change.items()})
    extra = {f"{SPEC}.activeDeadlineSeconds"} if "activeDeadlineSeconds" in change else set()
    assert fields(base) == expected | extra


@pytest.mark.parametrize(("change", "expected"), CONTAINERS, ids=lambda value: "-".join(sorted(value))[:60])
def test_a_container_with_one_mistake(change: dict[str, Any], expected: set[str]) -> None:
    at = f"{SPEC}.containers.0"
    base = with_changes(bases()["daemonsets"], {f"{at}.{key}": value for key, value in change.items()})
    assert fields(base) == {f"{CONTAINER}.{field}" for field in expected}


@pytest.mark.parametrize(("resource", "changes", "expected"), OTHERS)
def test_an_object_with_one_mistake(resource: str, changes: dict[str, Any], expected: set[str]) -> None:
    assert fields(with_changes(bases()[resource], changes)) == expected


@pytest.mark.parametrize(
    ("resource", "changes", "expected"),
    [
        ("deployments", {"spec.selector.matchLabels.app": "x", "spec.template.metadata.labels.app": "x",
                         "spec.selector.matchExpressions": None}, {"spec.selector"}),
        ("statefulsets", {"spec.serviceName": "other"}, {"spec"}),
        ("jobs", {"spec.template.spec.containers.0.image": "other"}, {"spec.template"}),
        ("services", {"spec.clusterIP": "10.0.0.9"}, {"spec.clusterIPs[0]"}),
        ("secrets", {"type": "other"}, {"type"}),
        ("persistentvolumeclaims", {"spec.storageClassName": "slow"}, {"spec"}),
        ("persistentvolumeclaims", {"spec.resources.requests.storage": "9Gi"},
         {"spec.resources.requests.storage"}),
        ("rolebindings", {"roleRef.name": "other"}, {"roleRef"}),
    ],
)  # fmt: skip
def test_what_never_changes(resource: str, changes: dict[str, Any], expected: set[str]) -> None:
    base = with_changes(bases()[resource], {"spec.clusterIP": "10.0.0.1"} if resource == "services" else {})
    old = check(base).document
    assert fields(base, old) == set()
    assert fields(with_changes(base, changes), old) == expected


def test_frozen_config_maps_and_late_finalizers_are_refused() -> None:
    old = check(with_changes(bases()["configmaps"], {"immutable": True})).document
    assert fields(with_changes(bases()["configmaps"], {"data": {"a": "z"}}), old) == {"immutable", "data"}
    going = with_changes(bases()["configmaps"], {"metadata.deletionTimestamp": "2026-11-01T00:00:00Z"})
    late = with_changes(going, {"metadata.finalizers": ["a.example/b"]})
    assert fields(late, check(going).document) == {"metadata.finalizers"}


def test_pods_keep_all_but_a_few_fields_and_their_images_have_no_blanks() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"},
           "spec": {"containers": [{"name": "a", "image": "x:1"}]}}  # fmt: skip
    old = check(pod).document
    assert fields(with_changes(pod, {"spec.containers.0.image": "x:2"}), old) == set()
    assert fields(with_changes(pod, {"spec.nodeName": "elsewhere"}), old) == {"spec"}
    assert fields(with_changes(pod, {"spec.containers.0.image": " x"})) == {"spec.containers[0].image"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": -1}},
         {"spec.replicas", "spec.selector", "spec.template"}),
        ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 2_000_000_000}, {"value"}),
        ({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "reclaimPolicy": "Keep"},
         {"provisioner", "reclaimPolicy"}),
        ({"apiVersion": "v1", "kind": "PersistentVolume", "spec": {"local": {"path": "/x"}}},
         {"spec.accessModes", "spec.capacity", "spec.nodeAffinity"}),
        ({"apiVersion": "v1", "kind": "PersistentVolume", "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "nodeAffinity": {},
            "csi": {"driver": "A_"}}},
         {"spec.csi.driver", "spec.csi.volumeHandle", "spec.nodeAffinity.required"}),
        ({"apiVersion": "v1", "kind": "PersistentVolume", "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "nfs": {"path": "x"}}},
         {"spec.nfs.server", "spec.nfs.path"}),
        ({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "spec": {
            "maxReplicas": 2, "targetCPUUtilizationPercentage": 0,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}},
         {"spec.metrics[0].resource.target.averageUtilization"}),
        ({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "x"}},
         {"spec.controller"}),
        ({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
          "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, set()),
        ({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
          "webhooks": [{"name": "a.b.c"}]},
         {"webhooks[0].clientConfig", "webhooks[0].sideEffects", "webhooks[0].admissionReviewVersions"}),
        ({"apiVersion": "example.com/v1", "kind": "Anything", "spec": {"x": None}}, set()),
    ],
)  # fmt: skip
def test_kinds_that_the_corpus_does_not_hold(document: Document, expected: set[str]) -> None:
    assert fields({**document, "metadata": {"name": "x"}}) == expected


def full(node: Node | None, scalar: Any, depth: int) -> Any:
    """A value with every field of its type set, lists of two, and `scalar` for whatever is text or a number."""
    if node is None or depth == 0:
        return None
    kinds = schemas.kinds_of(node)
    if "object" in kinds:
        keys = node.get("properties") or {"k": None}
        return {key: full(schemas.child(node, key), scalar, depth - 1) for key in keys}
    if "array" in kinds:
        return [full(schemas.element(node), scalar, depth - 1) for _ in range(2)]
    if schemas.ref_name(node) == schemas.QUANTITY:
        return "1"
    text = "string" in kinds and node.get("format") is None
    wanted = isinstance(scalar, str) if text else "integer" in kinds and isinstance(scalar, int)
    return scalar if wanted or "oneOf" in node else None


@pytest.mark.parametrize("scalar", ["", "a", "Bad_/ %", "10%", 0, -1, 2**31 - 1])
def test_no_rule_trips_over_what_the_types_let_pass(scalar: str | int) -> None:
    for group, kind in _RULES:
        version = "v2" if group == "autoscaling" else "v1"
        body = full(schemas.schema_of_kind(group, version, kind), scalar, 12)
        body |= {"apiVersion": f"{group}/{version}".removeprefix("/"), "kind": kind}
        verdict = check(body)
        assert verdict.findings.fine, (kind, verdict.findings)
        assert check(verdict.document, old=verdict.document).findings.fine


def test_claims_of_one_name_are_one_volume() -> None:
    document = deepcopy(bases()["statefulsets"])
    document["spec"]["volumeClaimTemplates"] *= 2
    assert fields(document) == set()


def test_a_secret_that_is_deeply_nested_is_refused_and_nothing_fails() -> None:
    nested = base64.b64encode(b"[" * 100_000).decode()
    changes = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": nested}}
    assert fields(with_changes(bases()["secrets"], changes)) == {"data[.dockerconfigjson]"}


def test_an_object_of_a_version_that_is_not_known_is_judged_without_a_slip() -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}]}
    assert check({"apiVersion": "v9", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}).causes == ()


@pytest.mark.parametrize(("minor", "expected"), [("1.36", set()), ("1.37", {"maxUnavailable"})])
def test_a_stateful_set_may_not_keep_all_its_pods_once_the_server_looks_at_it(
    minor: str, expected: set[str]
) -> None:
    rolling = {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": "0%"}}
    told = check(with_changes(bases()["statefulsets"], rolling), minor=minor).causes
    assert {cause.field.rpartition(".")[2] for cause in told} == expected


def test_a_name_that_the_server_makes_up_is_judged_as_it_would_be() -> None:
    job = with_changes(bases()["jobs"], {"metadata.name": None, "metadata.generateName": "task-"})
    indexed = {"spec.completions": 3, "spec.completionMode": "Indexed"}
    assert fields(with_changes(job, indexed)) == set()
    long = {**indexed, "metadata.generateName": "t" * 58}
    assert fields(with_changes(job, long)) == {"metadata.generateName"}
    cron = with_changes(bases()["cronjobs"], {"metadata.name": None, "metadata.generateName": "c" * 47})
    assert fields(cron) == set()
    assert fields(with_changes(cron, {"metadata.generateName": "c" * 48})) == {"metadata.generateName"}
