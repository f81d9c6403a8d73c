"""`ecpmon tenant …` without a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ecpmon.cli import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tenant", *arguments])


def test_a_rendered_manifest_validates_and_for_another_tenant_it_does_not(tmp_path: Path) -> None:
    made = run("manifest", "acme", "--requirements", "callbot=50 chatbot=100", "--ingress")
    assert made.exit_code == 0, made.output
    path = tmp_path / "m.yaml"
    path.write_text(made.output, encoding="utf-8")
    good = run("validate", "acme", str(path), "--strict", "--kubernetes-version", "1.28")
    assert (good.exit_code, json.loads(good.output)["valid"]) == (0, True)
    bad = run("validate", "other", str(path))
    assert bad.exit_code == 1
    assert {e["code"] for e in json.loads(bad.output)["findings"]} == {
        "WRONG_NAMESPACE",
        "WRONG_TENANT_LABEL",
    }


def test_sizes_from_options_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "needs.yaml"
    path.write_text("service_requirements: {callbot: 100, chatbot: 200, advisor: 50}", encoding="utf-8")
    sized = run("size", "--file", str(path), "--availability", "99.9%")
    assert json.loads(sized.output)["preset"] == "large"
    assert json.loads(run("size", "--requirements", "chatbot=10").output)["preset"] == "micro"


@pytest.mark.parametrize(
    "arguments", [["size"], ["size", "--requirements", "chatbot=many"], ["manifest", "No!"]]
)
def test_bad_options_get_a_sentence(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_entrance_is_as_the_settings_and_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECPMON_INGRESS_DOMAIN", "apps.example.com")
    monkeypatch.setenv("ECPMON_GPU_NODES", "none")
    monkeypatch.setenv("REDIS_URL", "redis://cache.example.com:6380")
    asked = ("manifest", "acme", "--requirements", "callbot=5", "--ingress", "--ingress-class", "traefik")
    text = run(*asked).output
    assert "host: acme.apps.example.com" in text
    assert "ingressClassName: traefik" in text
    assert "redis://cache.example.com:6380" in text
    assert "nodeSelector" not in text
    routed = run(*asked, "--route", "httproute", "--gateway", "gateways/public").output
    assert "kind: HTTPRoute" in routed
    assert "kind: Ingress" not in routed


@pytest.mark.parametrize("command", ["size", "manifest", "validate"])
def test_every_option_is_explained(command: str) -> None:
    assert "--help" in run(command, "--help").output
