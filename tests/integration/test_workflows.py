"""Workflows: by GitHub's schema, by a linter of what makes them unsafe, and that what they call is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def document(path: Path) -> dict[str, Any]:
    """With `on` as a word, which YAML 1.1 takes for true."""
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


def schema(name: str) -> jsonschema.Draft7Validator:
    text = files("check_jsonschema").joinpath("builtin_schemas", "vendor", name).read_text("utf-8")
    return jsonschema.Draft7Validator(json.loads(text))


def scripts(path: Path) -> str:
    jobs = document(path)["jobs"].values()
    return "\n".join(step.get("run", "") for job in jobs for step in job.get("steps", ()))


def test_there_are_those_of_the_source_documents() -> None:
    assert {path.stem for path in WORKFLOWS} == {"test", "production-deploy", "tenant-deploy"}


@each
def test_a_workflow_is_one_by_the_schema(path: Path) -> None:
    assert [error.message for error in schema("github-workflows.json").iter_errors(document(path))] == []


def test_the_schema_tells_what_is_none() -> None:
    broken = document(WORKFLOWS[0]) | {"jobs": {"one": {"steps": [{"runs": "true"}]}}}
    assert list(schema("github-workflows.json").iter_errors(broken))


def test_dependabot_is_configured_by_the_schema() -> None:
    found = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert [error.message for error in schema("dependabot.json").iter_errors(found)] == []
    assert {one["package-ecosystem"] for one in found["updates"]} == {"pip", "github-actions"}


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    """Unpinned actions, rights that are too wide, words from outside in scripts, kept credentials, and more."""
    program = Path(sys.executable).with_name("zizmor")
    command = [str(program), "--offline", "--no-progress", "--quiet", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_in_the_workflows_is_unsafe() -> None:
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (r"actions/checkout@\w{40}", "actions/checkout@v7", "unpinned-uses"),
        (
            r"deploy/ci/tenant.sh .*",
            "echo ${{ github.event.client_payload.tenant_id }}",
            "template-injection",
        ),
        (r"permissions:\n +contents: read", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_the_linter_would_tell(tmp_path: Path, before: str, after: str, rule: str) -> None:
    target = tmp_path / ".github" / "workflows"
    target.mkdir(parents=True)
    text = (ROOT / ".github" / "workflows" / "tenant-deploy.yml").read_text()
    changed, count = re.subn(before, after, text)
    assert count
    (target / "tenant-deploy.yml").write_text(changed)
    done = zizmor(tmp_path)
    assert done.returncode != 0
    assert rule in done.stdout


@each
def test_what_a_workflow_calls_is_there(path: Path) -> None:
    text, makefile = scripts(path), (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    for target in re.findall(r"\bmake ([\w-]+)", text):
        assert target in phony.split()
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for script in re.findall(r"\b(deploy/[\w/.-]+\.sh)", text):
        assert (ROOT / script).stat().st_mode & 0o111, script
    for job in document(path)["jobs"].values():
        if job.get("uses", "").startswith("./"):
            assert (ROOT / job["uses"]).is_file()


@each
def test_a_job_has_the_rights_that_it_names_and_an_end(path: Path) -> None:
    found = document(path)
    assert found["permissions"] == {}
    for name, job in found["jobs"].items():
        assert job["permissions"].items() <= {"contents": "read", "id-token": "write"}.items(), name
        assert "uses" in job or job["timeout-minutes"] <= 60


def test_production_comes_after_staging_and_for_tags_only() -> None:
    jobs = document(ROOT / ".github" / "workflows" / "production-deploy.yml")["jobs"]
    order = ["test", "build", "sign", "deploy-staging", "deploy-production"]
    assert list(jobs) == order
    assert [jobs[name].get("needs") for name in order] == [None, *order[:-1]]
    assert jobs["deploy-production"]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert [job["environment"] for job in jobs.values() if "environment" in job] == ["staging", "production"]


@pytest.mark.parametrize("name", ["deploy.sh", "smoke.sh", "tenant.sh", "kubeconfig.sh"])
def test_the_scripts_are_shell(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / "deploy" / "ci" / name)], check=True)


@pytest.mark.parametrize("name", ["x/../y", "a b", "A", "$(id)", "", "-x", "x" * 57])
def test_what_is_no_name_of_a_tenant_gets_nowhere(name: str) -> None:
    environ = {"PATH": "/nowhere", "ECPMON_URL": "http://127.0.0.1:1", "ECPMON_TOKEN": "t"}
    bash = shutil.which("bash")
    assert bash
    command = [bash, str(ROOT / "deploy" / "ci" / "tenant.sh"), name]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no name of a tenant" in done.stderr
