"""The catalogue files: what ships is sound, what is broken is refused by name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ecpmon.model.tenants import Preset, SlaTarget
from ecpmon.orchestrator.catalogue import CatalogueError, default_catalogue, load_catalogue
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.resources import data_dir


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("services.yaml", "presets.yaml"):
        (tmp_path / name).write_text((data_dir("rules") / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(file: Path, path: str, value: Any) -> None:
    document = at = yaml.safe_load(file.read_text(encoding="utf-8"))
    *parents, last = path.split("/")
    for key in parents:
        at = at[key]
    at[last] = value
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def test_what_ships() -> None:
    book = default_catalogue()
    assert set(book.services) == {"callbot", "chatbot", "advisor", "nlp", "stt", "tts"}
    assert list(book.presets) == list(Preset)
    assert {s.port for s in book.services.values()} == {8080}
    assert default_catalogue() is book


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        default_catalogue().services["callbot"].port = 1  # type: ignore[misc]


def test_a_deployment_brings_its_own(folder: Path) -> None:
    change(folder / "presets.yaml", "prices/base", "0.005")
    change(folder / "presets.yaml", "gpu_type", "a100")
    found = plan_tenant({"callbot": 25}, SlaTarget(), "large", load_catalogue(folder))
    assert (found.gpu_type, found.monthly_cost) == ("a100", Decimal("203.00"))


@pytest.mark.parametrize(
    ("file", "path", "value", "said"),
    [
        ("services", "services/callbot/sessions_per_replica", 0, "services.callbot.sessions_per_replica"),
        ("services", "services/callbot/sessions_per_replica", True, "services.callbot.sessions_per_replica"),
        ("services", "services/callbot/cpu/request", 9000, "the request must not exceed the limit"),
        ("services", "services/callbot/image", "ecp-ai/callbot:latest", "pinned"),
        ("services", "services/callbot/image", "ecp-ai/callbot", "services.callbot.image"),
        ("services", "services/callbot/image", "registry:5000/ecp-ai/callbot", "services.callbot.image"),
        ("services", "services/callbot/needs_gpu", False, "needs_gpu"),
        ("services", "services/callbot/gpu", "0.0001", "services.callbot.gpu"),
        ("services", "services/callbot/colour", "red", "services.callbot.colour"),
        ("services", "services", {}, "services"),
        ("services", "policy/spread_from", "100", "policy.spread_from"),
        ("presets", "presets/large/gpu", 2, "large grants less of something than medium"),
        ("presets", "presets/large/deployment_minutes", [30, 20], "[shortest, longest]"),
        ("presets", "prices/vcpu", "-1", "prices.vcpu"),
        ("presets", "prices/vcpu", float("nan"), "prices.vcpu"),
        ("presets", "presets", {}, "presets"),
    ],
)
def test_broken_data_is_refused_by_path(folder: Path, file: str, path: str, value: Any, said: str) -> None:
    change(folder / f"{file}.yaml", path, value)
    with pytest.raises(CatalogueError) as refused:
        load_catalogue(folder)
    assert f"{file}.yaml" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not YAML"),
        (b"", "document"),
        (b"[1]", "document"),
        (b"\xff\xfe\xff", "cannot be read"),
        (b"services: {}\nservices: {}", "stands there twice"),
        (b"? [a]\n: 1", "services.yaml"),
    ],
)
def test_files_that_are_no_catalogue(folder: Path, text: bytes, said: str) -> None:
    (folder / "services.yaml").write_bytes(text)
    with pytest.raises(CatalogueError, match=said):
        load_catalogue(folder)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        load_catalogue(tmp_path)
