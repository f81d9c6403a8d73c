"""deploy/chart by helm itself: what it renders for five sets of values, and installed into the simulated cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from ecpmon.kube.versions import VERSIONS
from ecpmon.orchestrator.validation import validate_manifest
from ecpmon.settings import Settings
from tests.helm import helm_program
from tests.integration.simulator.kube.conftest import Kubectl
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[4]
CHART = ROOT / "deploy" / "chart"
GOLDEN = ROOT / "tests" / "corpus" / "chart"
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "small": {
        "fronts": {"replicas": 1, "autoscaling": {"enabled": False}},
        "workers": {"replicas": 1},
        "networkPolicy": {"enabled": False},
    },
    "ingress": {
        "ingress": {"enabled": True, "className": "nginx", "host": "sla.example.com"},
        "settings": {"ECPMON_EXTERNAL_URL": "https://sla.example.com", "ECPMON_RAW_RETENTION_DAYS": 14},
        "externalSecret": {"enabled": True, "store": {"name": "vault"}},
    },
    "gateway": {
        "httpRoute": {"enabled": True, "gateway": {"namespace": "gateways", "sectionName": "https"}},
        "image": {"repository": "registry.example.com/ecpmon", "digest": f"sha256:{'0' * 64}", "pullSecrets": ["pull"]},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    },
    "everything": {
        "backup": {"enabled": True, "claim": "backups", "programs": "/usr/lib/postgresql/18/bin"},
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "token": {"secret": "ecpmon-metrics"},
        },
        "deployer": {"enabled": True},
        "serviceAccount": {"name": "ecpmon-deployer"},
        "podAnnotations": {"example.com/team": "sla"},
    },
}  # fmt: skip
# Of operators: Kubernetes has no schema of theirs.
OF_OPERATORS = ("monitoring.coreos.com", "external-secrets.io", "gateway.networking.k8s.io")

# What our own validator says of it because it is no tenant's, and that CPU has no limits, which are not wanted here.
OF_TENANTS = {
    "WRONG_NAMESPACE", "CLUSTER_SCOPED", "MISSING_TENANT_LABEL", "UNCHECKED_KIND", "MISSING_RESOURCES",
}  # fmt: skip


class Helm:
    def __init__(self, folder: Path, config: Path | None = None) -> None:
        self._program = helm_program()
        self._folder = folder
        self._environ = {"HOME": str(folder), "PATH": ""} | ({"KUBECONFIG": str(config)} if config else {})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._program), *arguments],
            capture_output=True, text=True, timeout=2 * PATIENCE, env=self._environ, check=False,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def values(self, values: dict[str, Any]) -> str:
        """The option that gives them."""
        file = self._folder / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        return f"--values={file}"


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)


# Not among the sets: the rules are compared with the file that they are.
RULES = "--set=monitoring.rules.enabled=true"


def rendered(helm: Helm, name: str, *more: str) -> str:
    options = ("--namespace", "ecpmon", "--include-crds", helm.values(SETS[name]), *more)
    return helm("template", "ecpmon", str(CHART), *options)


@pytest.mark.parametrize("name", SETS)
def test_what_the_chart_renders_is_what_was_looked_at_and_is_taken_by_every_kubernetes(
    helm: Helm, name: str
) -> None:
    """`ECPMON_RECORD=1` writes it anew."""
    text = rendered(helm, name)
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("ECPMON_RECORD"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
    documents = [document for document in yaml.safe_load_all(text) if document]
    assert_whole(documents)
    report = validate_manifest("ecpmon", text, namespace="ecpmon").shown(korean=False)
    assert report["pod_security"] == "restricted"
    assert {finding["code"] for finding in report["findings"]} <= OF_TENANTS
    for version in (VERSIONS[0], VERSIONS[-1]):
        for document in documents:
            if not document["apiVersion"].startswith(OF_OPERATORS):
                validate(document, version, strict=True)


def assert_whole(documents: list[dict[str, Any]]) -> None:
    """What is named is there, pods are restricted, and selectors select what is made."""
    of = {(d["kind"], d["metadata"]["name"]): d for d in documents}
    assert len(of) == len(documents)
    pods = [template_of(d) for d in documents if d["kind"] in ("Deployment", "Job", "CronJob")]
    for template in pods:
        assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in of
    labels = [template["metadata"]["labels"] for template in pods]
    for document in documents:
        if (selector := selector_of(document)) is not None:
            assert any(selector.items() <= label.items() for label in labels), document
    for kind, name in of:
        if kind == "HorizontalPodAutoscaler":
            assert of["Deployment", name]["spec"].get("replicas") is None, "two would set it"


def template_of(document: dict[str, Any]) -> Any:
    spec = document["spec"]
    return spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]


def selector_of(document: dict[str, Any]) -> dict[str, str] | None:
    spec = document.get("spec", {})
    if document["kind"] == "Service":
        return dict(spec["selector"])
    found = spec.get("podSelector") or (
        spec.get("selector") if document["kind"] != "ServiceMonitor" else None
    )
    return dict(found["matchLabels"]) if found else None


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_wrong_with_the_chart(helm: Helm, name: str) -> None:
    said = helm("lint", "--strict", str(CHART), helm.values(SETS[name]))
    assert "0 chart(s) failed" in said


WRONG = {
    "a name that is not known": ({"front": {}}, "front"),
    "a secret among the settings": ({"settings": {"ECPMON_DATABASE_URL": "x"}}, "ECPMON_DATABASE_URL"),
    "what the chart decides": ({"settings": {"ECPMON_HOST": "x"}}, "ECPMON_HOST"),
    "no setting": ({"settings": {"PATH": "/"}}, "PATH"),
    "no replicas": ({"workers": {"replicas": 0}}, "replicas"),
    "backups nowhere": ({"backup": {"enabled": True}}, "claim"),
    "half a digest": ({"image": {"digest": "sha256:12"}}, "digest"),
}


@pytest.mark.parametrize("case", WRONG)
def test_values_that_are_not_right_are_refused(helm: Helm, case: str) -> None:
    values, said = WRONG[case]
    done = helm.run("template", "ecpmon", str(CHART), helm.values(values))
    assert done.returncode != 0
    assert said in done.stderr


def test_no_secret_can_be_given_as_a_setting_and_every_variable_of_the_chart_is_a_setting(helm: Helm) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"])
    fields = Settings.model_fields
    secrets = {
        f"ECPMON_{name.upper()}" for name, field in fields.items() if "Secret" in str(field.annotation)
    }
    assert secrets <= refused
    for document in yaml.safe_load_all(rendered(helm, "everything")):
        if document["kind"] in ("Deployment", "Job", "CronJob"):
            [container] = template_of(document)["spec"]["containers"]
            for variable in container["env"]:
                name = variable["name"].removeprefix("ECPMON_").lower()
                assert name in fields or name == "secrets_dir"


def test_the_rights_to_deploy_are_those_that_were_tried_and_the_rules_those_that_are_shipped(
    helm: Helm,
) -> None:
    """tests/integration/orchestrator holds the deployer to deploy/kubernetes/deployer.yaml."""
    documents = list(yaml.safe_load_all(rendered(helm, "everything", RULES)))
    tried = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "deployer.yaml").read_text())
    [role] = [d for d in documents if d["kind"] == "ClusterRole"]
    [expected] = [d for d in tried if d["kind"] == "ClusterRole"]
    assert role["rules"] == expected["rules"]
    shipped = yaml.safe_load((ROOT / "rules" / "prometheus" / "service.yml").read_text())
    [rules] = [d for d in documents if d["kind"] == "PrometheusRule"]
    assert rules["spec"] == shipped


@pytest.mark.parametrize("kubectl", ["newer"], indirect=True)
def test_it_is_installed_upgraded_rolled_back_and_taken_away(
    kubectl: Kubectl, simulator: Simulator, tmp_path: Path
) -> None:
    helm = Helm(tmp_path, kubectl.config)
    space = ("--namespace", "sla")
    kubectl("create", "namespace", "sla")
    kubectl("label", "namespace", "sla", "pod-security.kubernetes.io/enforce=restricted")
    kubectl(
        *space, "create", "secret", "generic", "ecpmon", "--from-literal=ecpmon_database_url=postgresql://d/e"
    )
    wait = ("--wait", f"--timeout={PATIENCE:g}s", *space)
    values = helm.values(SETS["everything"] | {"ingress": {"enabled": True}})
    said = helm("install", "ecpmon", str(CHART), values, RULES, *wait)
    assert "ecpmon token create root" in said
    jobs = kubectl.json(*space, "get", "jobs")["items"]
    assert [(job["metadata"]["name"], job["status"]["succeeded"]) for job in jobs] == [("ecpmon-migrate", 1)]
    # Fronts are the autoscaler's: one at first, and soon as many as there are at least.
    wait_until(lambda: ready(kubectl) == {"ecpmon-front": 3, "ecpmon-worker": 2}, "all are there")
    helm("upgrade", "ecpmon", str(CHART), values, RULES, "--set=image.tag=0.2.0,workers.replicas=3", *wait)
    assert images(kubectl) == {"ecpmon:0.2.0"}
    assert ready(kubectl) == {"ecpmon-front": 3, "ecpmon-worker": 3}, "the autoscaler's number stays"
    helm("rollback", "ecpmon", "1", *wait)
    assert images(kubectl) == {"ecpmon:0.1.0"}
    history = json.loads(helm("history", "ecpmon", *space, "-o", "json"))
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "deployed"]
    helm("uninstall", "ecpmon", *wait)
    assert ready(kubectl) == {}
    assert kubectl.run("get", "clusterrole", "sla-ecpmon-deployer").returncode != 0


def ready(kubectl: Kubectl) -> dict[str, int]:
    found = kubectl.json("--namespace", "sla", "get", "deployments")["items"]
    return {d["metadata"]["name"]: d["status"].get("readyReplicas", 0) for d in found}


def images(kubectl: Kubectl) -> set[str]:
    pods = kubectl.json(
        "--namespace", "sla", "get", "pods", "-l", "app.kubernetes.io/component in (front, worker)"
    )
    alive = [pod for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]
    return {pod["spec"]["containers"][0]["image"] for pod in alive}
