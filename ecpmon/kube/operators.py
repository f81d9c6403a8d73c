"""The groups of well-known operators, and kinds of them that are often misspelt."""

from __future__ import annotations

from typing import Final

# Suffixes of groups; kinds of these are looked up nowhere, so that they are doubtful and not wrong.
OPERATORS: Final = frozenset({
    "absa.oss", "admiralty.io", "aibrix.ai", "akuity.io", "altinity.com", "amazonaws.com", "amd.com",
    "antrea.io", "apache.org", "app.k8s.io", "appscode.com", "aquasecurity.github.io", "arangodb.com",
    "argoproj.io", "autoscaling.k8s.io", "azure.com", "banzaicloud.com", "banzaicloud.io", "bitnami.com",
    "cattle.io", "cert-manager.io", "chaos-mesh.org", "cilium.io", "clastix.io", "cni.cncf.io", "cnpg.io",
    "cockroachlabs.com", "confluent.io", "coreos.com", "couchbase.com", "crossplane.io", "cybozu.com",
    "dapr.io", "datadoghq.com", "datastax.com", "devfile.io", "dragonflydb.io", "dynatrace.com", "elastic.co",
    "emqx.io", "envoyproxy.io", "external-secrets.io", "externaldns.k8s.io", "f5.com", "flagger.app",
    "flinkoperator.k8s.io", "fluent.io", "fluentd.io", "fluid.io", "fluxcd.io", "furiosa.ai", "gatekeeper.sh",
    "gateway.envoyproxy.io", "gateway.networking.k8s.io", "getambassador.io", "github.com", "gitlab.com",
    "gke.io", "gocrane.io", "goharbor.io", "google.com", "grafana.com", "grafana.integreatly.org",
    "groupsnapshot.storage.k8s.io", "habana.ai", "haproxy.org", "harvesterhci.io", "hashicorp.com",
    "hazelcast.com", "hivemq.com", "inference.networking.k8s.io", "infinispan.org", "influxdata.com",
    "intel.com", "istio.io", "jaegertracing.io", "jenkins.io", "juicefs.com", "k0sproject.io", "k6.io",
    "k8s-sigs.io", "k8s.aws", "k8s.mariadb.com", "k8s.ovn.org", "k8ssandra.io", "k8up.io", "kai.scheduler",
    "kaito.sh", "karmada.io", "karpenter.sh", "keda.sh", "keptn.sh", "keycloak.org", "kgateway.dev", "kiali.io",
    "knative.dev", "konghq.com", "koordinator.sh", "kpack.io", "kro.run", "kruise.io", "kserve.io",
    "kubearmor.com", "kubeblocks.io", "kubedb.com", "kubeedge.io", "kubeflow.org", "kubeovn.io", "kubescape.io",
    "kubesphere.io", "kubevirt.io", "kubewarden.io", "kubewharf.io", "kuma.io", "kyverno.io",
    "libopenstorage.org", "linbit.com", "linkerd.io", "liqo.io", "litmuschaos.io", "loft.sh", "longhorn.io",
    "maistra.io", "medik8s.io", "metal3.io", "metallb.io", "metrics.k8s.io", "milvus.io", "min.io",
    "mmontes.io", "mongodb.com", "mysql.oracle.com", "nats.io", "nebula-graph.io", "neo4j.com", "newrelic.com",
    "nginx.org", "nmstate.io", "noobaa.io", "nvidia.com", "oam.dev", "objectbucket.io", "oceanbase.com",
    "open-cluster-management.io", "openebs.io", "opensearch.opster.io", "openshift.io", "opentelemetry.io",
    "openyurt.io", "operatorframework.io", "percona.com", "perses.dev", "pingcap.com", "piraeus.io",
    "planetscale.com", "policy.networking.k8s.io", "populator.storage.k8s.io",
    "postgres-operator.crunchydata.com", "projectcalico.org", "projectcontour.io", "pyrra.dev", "rabbitmq.com",
    "ray.io", "redhat.com", "redis.redis.opstreelabs.in", "redpanda.com", "resources.teleport.dev",
    "robusta.dev", "rook.io", "run.ai", "scylladb.com", "seldon.io", "sigstore.dev", "slok.dev", "smi-spec.io",
    "snapshot.storage.k8s.io", "solace.com", "solo.io", "sparkoperator.k8s.io", "spiffe.io", "splunk.com",
    "spotahome.com", "stackgres.io", "stakater.com", "starrocks.com", "strimzi.io", "submariner.io",
    "summerwind.dev", "tailscale.com", "tekton.dev", "temporal.io", "testkube.io", "thanos.io", "tigera.io",
    "topolvm.io", "traefik.containo.us", "traefik.io", "tremolo.io", "twistlock.com", "tyk.io", "upbound.io",
    "vectorized.io", "velero.io", "victoriametrics.com", "vllm.ai", "volcano.sh", "wgpolicyk8s.io", "x-k8s.io",
    "yatai.ai", "yugabyte.com", "zalan.do", "zookeeper.pravega.io",
})  # fmt: skip
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


def is_operators(group: str) -> bool:
    """Whether a well-known operator defines kinds of this group."""
    words = group.split(".")
    return any(".".join(words[first:]) in OPERATORS for first in range(len(words)))


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
