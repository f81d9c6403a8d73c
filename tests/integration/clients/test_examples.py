"""Everything in examples/, executed: programs and pages against the real application, workflows step by step."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from standardwebhooks import Webhook

from ecpmon.client import ECPClient
from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import KUBECTL, Binaries, fetch_bundles
from ecpmon.local.paths import cache_dir, service_user
from tests.integration.clients.conftest import Application
from tests.node import node
from tests.processes import bound
from tests.waiting import PATIENCE

EXAMPLES = Path(__file__).parents[3] / "examples"


def ran(command: list[str], application: Application, folder: Path, **more: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "ECP_API_URL": application.base_url, **more},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl(application: Application, tmp_path: Path) -> None:
    name = application.name()
    told = ran(["sh", str(EXAMPLES / "curl" / "walkthrough.sh")], application, tmp_path, TENANT_ID=name)
    assert f'"tenant_id":"{name}"' in told
    assert "Namespace" in {d["kind"] for d in yaml.safe_load_all((tmp_path / "manifest.yaml").read_text())}
    assert json.loads((tmp_path / "manifest.json").read_text())


def test_quickstart(application: Application, tmp_path: Path) -> None:
    program = EXAMPLES / "python" / "quickstart.py"
    told = ran(
        [sys.executable, str(program), application.base_url, application.name()], application, tmp_path
    )
    assert "manifest valid: True" in told
    assert "100 % completed" in told
    assert "live: cpu 65.5 %" in told


def test_metrics_pusher(application: Application, tmp_path: Path) -> None:
    name, program = application.tenant(), EXAMPLES / "python" / "metrics_pusher.py"
    health = f"{application.url}/health"
    ran([sys.executable, str(program), name, "--every", "0.1", "--times", "3", "--health", health],
        application, tmp_path)  # fmt: skip
    with ECPClient(application.base_url) as client:
        found = client.get_monitoring(name, hours=1, interval="15s")["metrics"]
    assert {"cpu", "memory", "up", "response"} <= found.keys() | {n.partition("_")[0] for n in found}


def test_alert_receiver(tmp_path: Path) -> None:
    program = EXAMPLES / "python" / "alert_receiver.py"
    receiver = subprocess.Popen(
        bound([sys.executable, str(program), "--port", "0"]), stdout=subprocess.PIPE, text=True,
        env={k: v for k, v in os.environ.items() if k != "WEBHOOK_SECRET"},
    )  # fmt: skip
    try:
        assert receiver.stdout is not None
        address = receiver.stdout.readline().split()[-1]
        assert requests.post(address, json=told_by_alertmanager("acme"), timeout=PATIENCE).status_code == 200
        line = "firing ECPTenantDown acme 2026-03-02T09:00:00Z acme is down\n"
        assert receiver.stdout.readline() == line
        assert requests.post(address, data=b"[]", timeout=PATIENCE).status_code == 400
    finally:
        receiver.kill()
        receiver.communicate()


def told_by_alertmanager(tenant_id: str) -> dict[str, Any]:
    alert = {
        "status": "firing", "labels": {"alertname": "ECPTenantDown", "tenant_id": tenant_id, "severity": "critical"},
        "annotations": {"summary": f"{tenant_id} is down"}, "startsAt": "2026-03-02T09:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": f"f-{tenant_id}",
    }  # fmt: skip
    return {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "r",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager",
            "alerts": [alert]}  # fmt: skip


def test_the_receiver_takes_only_what_is_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "python"))
    import alert_receiver

    secret, body = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", b'{"alerts": []}'
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": "v1,AAAA " + Webhook(secret).sign("m1", now, body.decode()),
    }  # fmt: skip
    assert alert_receiver.is_signed(secret, headers, body)
    assert not alert_receiver.is_signed(secret, headers, body + b" ")
    assert not alert_receiver.is_signed(secret, {**headers, "webhook-timestamp": "1"}, body)


def test_alertmanager_takes_its_configuration(
    application: Application, stack_binaries: Binaries, tmp_path: Path
) -> None:
    config = EXAMPLES / "alertmanager" / "alertmanager.yml"
    told = ran([str(stack_binaries.amtool), "check-config", str(config)], application, tmp_path)
    assert "2 receivers" in told
    # And what it would send there is taken.
    path = re.search(r"http://127.0.0.1:8001(/\S+)", config.read_text())
    assert path is not None
    name = application.tenant()
    answer = requests.post(application.url + path[1], json=told_by_alertmanager(name), timeout=PATIENCE)
    assert (answer.status_code, answer.json()["status"], answer.json()["new"]) == (200, "processed", 1)


PAGE = """
const { readFileSync } = require('node:fs');
const [page, address, name] = process.argv.slice(1);
const elements = new Map();
const element = (id) => {
  const made = { value: '', textContent: '', addEventListener(type, f) { this[type] = f; } };
  if (!elements.has(id)) elements.set(id, made);
  return elements.get(id);
};
globalThis.document = { getElementById: element };
const html = readFileSync(page, 'utf8');
const inputs = html.matchAll(/<input id="(\\w+)"(?:[^>]* value="([^"]*)")?/g);
for (const [, id, value] of inputs) element(id).value = value ?? '';
Object.assign(element('address'), { value: address });
Object.assign(element('what'), { value: '/ws/monitoring/' });
Object.assign(element('name'), { value: name });
Object.assign(element('demo'), { value: 'false' });
new Function(html.match(/<script>([\\s\\S]*)<\\/script>/)[1])();
element('form').submit({ preventDefault() {} });
const timer = setInterval(() => {
  if (!element('log').textContent) return;
  console.log(element('state').textContent, element('log').textContent);
  element('close').click();
  clearInterval(timer);
}, 20);
"""


def test_the_page_for_websockets(application: Application, tmp_path: Path) -> None:
    name = application.tenant()
    with ECPClient(application.base_url) as client:
        client.send_metrics(name, {"cpu": 12.5, "queue_depth": 3})
    page, address = str(EXAMPLES / "websocket-test.html"), application.url.replace("http", "ws")
    told = ran([node(), "--experimental-websocket", "-e", PAGE, page, address, name], application, tmp_path)
    assert told.startswith("connected")
    assert '"cpu": 12.5' in told


# --- workflows ------------------------------------------------------------------------------------------------


class Run:
    """A workflow's jobs, carried out as their runner would: `run` steps in a shell, expressions filled in."""

    def __init__(self, name: str, folder: Path, programs: Path, **context: str) -> None:
        self.document = yaml.safe_load((EXAMPLES / "workflows" / name).read_text("utf-8"))
        self.context = context
        self.folder = folder
        self.path = f"{programs}:{os.environ['PATH']}"
        self.status = "success"
        self.environ: dict[str, str] = {}

    def job(self, name: str) -> None:
        job = self.document["jobs"][name]
        env = {**self.document.get("env", {}), **job.get("env", {})}
        for step in job["steps"]:
            if "run" in step and (self.status == "success" or step.get("if") == "always()"):
                self._step(step, env | step.get("env", {}))

    def _step(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        assert "${{" not in step["run"], "what others wrote must not become a part of a script"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=self.folder,
            env={"PATH": self.path, "HOME": str(self.folder), **self.environ,
                 **{k: self._filled(str(v)) for k, v in env.items()}},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            self.status = "failure"
            self.context["failed"] = f"{step['name']}: {done.stdout}{done.stderr}"

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda found: self._value(found[1]), text)

    def _value(self, expression: str) -> str:
        if expression.startswith("job.status"):
            return "completed" if self.status == "success" else "failed"
        return self.context[expression]


@pytest.fixture(scope="module")
def programs(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl, and a docker that writes down what it is asked to do."""
    cache, architecture = cache_dir(os.environ, service_user()), detect_architecture()
    fetch_bundles(cache, [KUBECTL], architecture, lambda _what, _done, _total: None)
    folder = tmp_path_factory.mktemp("programs")
    (folder / "kubectl").symlink_to(KUBECTL.folder(cache, architecture) / "usr/bin/kubectl")
    (folder / "docker").write_text(
        '#!/bin/sh\necho "$@" >> docker.log\n[ "$1" != login ] || cat >> docker.log\n'
    )
    (folder / "docker").chmod(0o755)
    with urllib.request.urlopen(f"{application.simulator_url}/kubeconfig", timeout=PATIENCE) as answer:
        (folder / "kubeconfig").write_bytes(answer.read())
    return folder


def workflow(name: str, folder: Path, programs: Path, application: Application, **more: str) -> Run:
    run = Run(
        name, folder, programs,
        **{"secrets.ECP_API_URL": application.base_url, "secrets.ECP_API_TOKEN": "ecp_unused", **more},
    )  # fmt: skip
    run.environ = {"KUBECONFIG": str(programs / "kubeconfig"), "GITHUB_SHA": "0f3c1b2a"}
    return run


def test_a_deployment_by_hand(application: Application, programs: Path, tmp_path: Path) -> None:
    name = application.tenant(is_demo=True)
    inputs = {"inputs.tenant_id": name, "inputs.is_demo": "true"}
    run = workflow("deploy.yml", tmp_path, programs, application, **inputs)
    assert set(run.document[True]["workflow_dispatch"]["inputs"]) == {"tenant_id", "is_demo"}
    run.job("deploy")
    assert run.status == "success", run.context
    with urllib.request.urlopen(f"{application.simulator_url}/api/v1/namespaces/ecp-ai-{name}") as answer:
        assert json.load(answer)["status"]["phase"] == "Active"


def test_a_tenant_that_was_created_is_deployed_and_reported(
    application: Application, programs: Path, tmp_path: Path
) -> None:
    name = application.tenant()
    payload = {"github.event.client_payload.tenant_id": name}
    run = workflow("tenant-deploy.yml", tmp_path, programs, application, **payload)
    assert run.document[True] == {"repository_dispatch": {"types": ["tenant-created"]}}
    run.job("deploy-tenant")
    assert run.status == "success", run.context
    with ECPClient(application.base_url) as client:
        assert client.get_deployment_status(name)["status"] == "completed"
        assert client.get_tenant(name)["status"] == "running"


def test_a_pipeline_that_fails_says_so(application: Application, programs: Path, tmp_path: Path) -> None:
    name = application.tenant()
    payload = {"github.event.client_payload.tenant_id": name}
    run = workflow("tenant-deploy.yml", tmp_path, programs, application, **payload)
    run.environ["KUBECONFIG"] = str(tmp_path / "none")
    run.job("deploy-tenant")
    assert run.status == "failure"
    with ECPClient(application.base_url) as client:
        assert client.get_deployment_status(name)["status"] == "failed"


def test_production(application: Application, programs: Path, tmp_path: Path) -> None:
    secrets = {
        "secrets.REGISTRY_USERNAME": "ci",
        "secrets.REGISTRY_PASSWORD": "s3cret",
        "vars.ECP_URL": application.url,
    }
    run = workflow("production-deploy.yml", tmp_path, programs, application, **secrets)
    jobs = run.document["jobs"]
    assert (jobs["deploy-staging"]["needs"], jobs["deploy-production"]["needs"]) == (
        "build-and-test",
        "deploy-staging",
    )
    jobs["build-and-test"]["steps"] = [
        s for s in jobs["build-and-test"]["steps"] if s.get("name") != "Run tests"
    ]
    run.job("build-and-test")
    image = "your-registry.com/ecp-backend:0f3c1b2a"
    assert (tmp_path / "docker.log").read_text().split("\n") == [
        f"build -t {image} .", "login your-registry.com -u ci --password-stdin", f"s3cretpush {image}", "",
    ]  # fmt: skip
    for job, namespace in (("deploy-staging", "ecp-staging"), ("deploy-production", "ecp-system")):
        applied(programs, namespace)
        run.job(job)
        assert run.status == "success", run.context


def applied(programs: Path, namespace: str) -> None:
    """The backend as it runs already in a namespace."""
    container = {
        "name": "backend",
        "image": "old:1",
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
    }
    labels = {"app": "ecp-backend"}
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ecp-backend", "namespace": namespace},
         "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                  "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}},
    ]  # fmt: skip
    subprocess.run(
        [programs / "kubectl", "apply", "-f", "-"], input=yaml.safe_dump_all(documents), text=True, check=True,
        env={"KUBECONFIG": str(programs / "kubeconfig"), "HOME": str(programs), "PATH": os.environ["PATH"]},
        timeout=PATIENCE, capture_output=True,
    )  # fmt: skip
