"""Which kinds belong to the whole cluster, and which groups are those of well-known operators."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.kube.shapes import group_of, mapping
from ecpmon.kube.templates import NATIVE_GROUPS

_NATIVE: Final = frozenset({
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
    "ClusterTrustBundle", "ComponentStatus", "CustomResourceDefinition", "DeviceClass", "DeviceTaintRule",
    "FlowSchema", "IPAddress", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
    "PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass", "SelfSubjectReview", "ServiceCIDR",
    "StorageClass", "StorageVersion", "StorageVersionMigration", "TokenReview", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment",
    "VolumeAttributesClass",
})  # fmt: skip
_CUSTOM: Final = frozenset({
    "CiliumClusterwideNetworkPolicy", "ClusterAnalysisTemplate", "ClusterCleanupPolicy", "ClusterDomainClaim",
    "ClusterExternalSecret", "ClusterGenerator", "ClusterImageCatalog", "ClusterInterceptor", "ClusterIssuer",
    "ClusterPolicy", "ClusterPolicyReport", "ClusterPushSecret", "ClusterQueue", "ClusterSecretStore",
    "ClusterServingRuntime", "ClusterStorageContainer", "ClusterTask", "ClusterTriggerAuthentication",
    "ClusterTriggerBinding", "ClusterWorkflowTemplate", "CompositeResourceDefinition", "Composition",
    "ConstraintTemplate", "EC2NodeClass", "GatewayClass", "GlobalNetworkPolicy", "NodeClaim", "NodePool",
    "ResourceFlavor", "VolumeSnapshotClass", "VolumeSnapshotContent",
})  # fmt: skip
# A suffix of a group; kinds of these are looked up nowhere, so that they are doubtful and not wrong.
OPERATORS: Final = (
    "altinity.com", "aquasecurity.github.io", "argoproj.io", "autoscaling.k8s.io", "bitnami.com", "camel.apache.org",
    "cert-manager.io", "chaos-mesh.org", "cilium.io", "cluster.x-k8s.io", "cnpg.io", "cockroachlabs.com",
    "confluent.io", "consul.hashicorp.com", "coreos.com", "crd.k8s.amazonaws.com", "crossplane.io", "dapr.io",
    "druid.apache.org", "eck.k8s.elastic.co", "elastic.co", "external-secrets.io", "externaldns.k8s.io",
    "flagger.app", "flink.apache.org", "flinkoperator.k8s.io", "fluentd.io", "fluxcd.io",
    "gateway.envoyproxy.io", "gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "gatekeeper.sh",
    "getambassador.io", "google.com", "grafana.com", "grafana.integreatly.org", "hashicorp.com", "helm.cattle.io",
    "inference.networking.k8s.io", "inference.networking.x-k8s.io", "istio.io", "jaegertracing.io",
    "jobset.x-k8s.io", "k0sproject.io", "k8s.aws", "k8s.cni.cncf.io", "k8s.mariadb.com", "k8s.nginx.org",
    "karpenter.sh", "keda.sh", "kiali.io", "knative.dev", "konghq.com", "kruise.io", "kserve.io", "kubeflow.org",
    "kubevirt.io", "kueue.x-k8s.io", "kyverno.io", "leaderworkerset.x-k8s.io", "linkerd.io", "litmuschaos.io",
    "longhorn.io", "metallb.io", "metrics.k8s.io", "min.io", "mongodb.com", "mongodbcommunity.mongodb.com",
    "monitoring.coreos.com", "mysql.oracle.com", "nats.io", "nvidia.com", "openebs.io", "openshift.io",
    "opensearch.opster.io", "opentelemetry.io", "operatorframework.io", "percona.com", "perses.dev",
    "planetscale.com", "policy.networking.k8s.io", "postgres-operator.crunchydata.com", "projectcalico.org",
    "projectcontour.io", "pulsar.apache.org", "rabbitmq.com", "ray.io", "redhat.com", "redis.redis.opstreelabs.in",
    "resources.teleport.dev", "rook.io", "seldon.io", "secrets-store.csi.x-k8s.io", "smi-spec.io",
    "snapshot.storage.k8s.io", "sparkoperator.k8s.io", "splunk.com", "strimzi.io", "tekton.dev", "temporal.io",
    "traefik.containo.us", "traefik.io", "twistlock.com", "velero.io", "victoriametrics.com", "volcano.sh",
    "wgpolicyk8s.io", "x-k8s.io", "zalan.do", "zookeeper.pravega.io",
)  # fmt: skip
# Kinds of groups that are met often: a misspelt one of these is wrong, not doubtful.
_KINDS: Final[dict[str, frozenset[str]]] = {
    "argoproj.io": frozenset({
        "AnalysisRun", "AnalysisTemplate", "AppProject", "Application", "ApplicationSet",
        "ClusterAnalysisTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "EventBus", "EventSource",
        "Experiment", "Rollout", "Sensor", "Workflow", "WorkflowEventBinding", "WorkflowTemplate",
    }),
    "keda.sh": frozenset({"ClusterTriggerAuthentication", "ScaledJob", "ScaledObject", "TriggerAuthentication"}),
    "monitoring.coreos.com": frozenset({
        "Alertmanager", "AlertmanagerConfig", "PodMonitor", "Probe", "Prometheus", "PrometheusAgent",
        "PrometheusRule", "ScrapeConfig", "ServiceMonitor", "ThanosRuler",
    }),
}  # fmt: skip


def is_cluster_scoped(body: dict[str, Any], own: frozenset[tuple[str, str]] = frozenset()) -> bool:
    """Whether the object belongs to no namespace. `own`: (group, kind) of cluster-wide CRDs beside it."""
    kind, group = str(body.get("kind", "")), group_of(body)
    if (group, kind) in own:
        return True
    return kind in (_NATIVE if group in NATIVE_GROUPS else _CUSTOM)


def is_operators(group: str) -> bool:
    """Whether a well-known operator defines kinds of this group."""
    return any(group == known or group.endswith(f".{known}") for known in OPERATORS)


def meant_kind(group: str, kind: str) -> str | None:
    """The kind that a misspelt one of a well-known group must mean; None when it may well be right."""
    known = _KINDS.get(group, frozenset())
    return None if kind in known else next((k for k in sorted(known) if _is_near(kind, k)), None)


def _is_near(one: str, other: str) -> bool:
    """Whether they are the same but for their case, or for one letter that is too much, missing, wrong or swapped."""
    a, b = one.lower(), other.lower()
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[1:2] + a[:1] == b[:2] and a[2:] == b[2:])


def defined_kinds(bodies: list[dict[str, Any]]) -> dict[tuple[str, str], bool]:
    """(group, kind) of the CRDs among these objects; whether each belongs to the whole cluster."""
    found = {}
    for body in bodies:
        if body.get("kind") == "CustomResourceDefinition":
            spec = mapping(body.get("spec"))
            kind = mapping(spec.get("names")).get("kind")
            found[(str(spec.get("group", "")), str(kind))] = spec.get("scope") == "Cluster"
    return found
