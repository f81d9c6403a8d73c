"""The catalogue files: what ships, and what an own catalogue may not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ecpmon.orchestrator.catalogue import (
    FILES,
    Catalogue,
    CatalogueError,
    default_catalogue,
    load_catalogue,
    memory_text,
    parse_catalogue,
    storage_text,
)
from ecpmon.resources import data_dir

SHIPPED = [(data_dir("rules") / name).read_text(encoding="utf-8") for name in FILES]


def parse_changed(change: Callable[[Any, Any, Any], object]) -> Catalogue:
    """The shipped catalogue with `change(services, presets, prices)` applied to the documents."""
    documents = [yaml.safe_load(text) for text in SHIPPED]
    change(*documents)
    return parse_catalogue(*(yaml.safe_dump(document, sort_keys=False) for document in documents))


def stt(**changes: object) -> Callable[[Any, Any, Any], object]:
    """A change to one service."""
    return lambda services, _presets, _prices: services["services"]["stt"].update(changes)


def redis(**changes: object) -> Callable[[Any, Any, Any], object]:
    return lambda services, _presets, _prices: services["services"]["redis"].update(changes)


def preset(name: str, **changes: object) -> Callable[[Any, Any, Any], object]:
    return lambda _services, presets, _prices: presets["presets"][name].update(changes)


def price(**changes: object) -> Callable[[Any, Any, Any], object]:
    return lambda _services, _presets, prices: prices.update(changes)


def test_the_shipped_catalogue_has_what_the_product_promises() -> None:
    catalogue = default_catalogue()
    ours = ["callbot", "chatbot", "advisor", "nlp", "stt", "tts"]
    assert list(catalogue.services) == [*ours, "nginx", "redis", "vector-db"]
    for name in ours:
        spec = catalogue.services[name]
        assert (spec.port, spec.service_port) == (8080, 80)
        assert (spec.liveness.path, spec.readiness.path) == ("/health", "/ready")
        assert spec.image.startswith(f"ecp-ai/{name}:")


def test_the_catalogue_is_frozen() -> None:
    with pytest.raises(ValidationError):
        default_catalogue().services["callbot"].cpu_limit = 1


def test_callbot_alone_needs_a_gpu() -> None:
    assert [name for name, spec in default_catalogue().services.items() if spec.needs_gpu] == ["callbot"]


WRONG: dict[str, tuple[Callable[[Any, Any, Any], object], str]] = {
    "a tag that moves": (stt(image="x/stt:latest"), "services.stt.image"),
    "no tag": (stt(image="x/stt"), "services.stt.image"),
    "a port is no tag": (stt(image="r:5000/stt"), "services.stt.image"),
    "an unknown key": (stt(cpus="1"), "services.stt.cpus"),
    "a key missing": (lambda s, p, c: s["services"]["stt"].pop("image"), "services.stt.image"),
    "CPU without unit": (stt(cpu_limit="2"), "services.stt.cpu_limit"),
    "CPU as number": (stt(cpu_limit=2000), "services.stt.cpu_limit"),
    "no CPU at all": (stt(cpu_limit="0m"), "services.stt.cpu_limit"),
    "memory in bytes": (stt(memory_limit="2G"), "services.stt.memory_limit"),
    "a part of a GB": (preset("micro", storage="0.0005TB"), "presets.micro.storage"),
    "request above limit": (stt(cpu_request="9000m"), "services.stt"),
    "a share without need": (stt(gpu_share=0.5), "services.stt"),
    "a need without share": (stt(needs_gpu=True), "services.stt"),
    "more than one GPU": (stt(needs_gpu=True, gpu_share=2), "services.stt.gpu_share"),
    "state without a place": (stt(stateful=True), "services.stt"),
    "a name Kubernetes refuses": (
        lambda s, p, c: s["services"].update(STT=s["services"].pop("stt")),
        "services.STT",
    ),
    "needed by nobody known": (redis(needed_by=["x"]), ""),
    "shared by a shared part": (redis(needed_by=["nginx"]), ""),
    "no services": (lambda s, p, c: s["services"].clear(), "services"),
    "a preset smaller than the one before": (preset("large", gpu=2), ""),
    "minutes the wrong way round": (preset("large", deployment_minutes=[9, 2]), "presets.large"),
    "the spare promised without it": (lambda s, p, c: p["sla"].update(without_spare=99.5), "sla"),
    "a negative price": (price(per_gpu=-1), "prices.per_gpu"),
    "a price that is no number": (price(per_gpu=float("nan")), "prices.per_gpu"),
}


@pytest.mark.parametrize(("change", "field"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_refused_by_its_path(change: Callable[[Any, Any, Any], object], field: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_changed(change)
    found = [entry["field"] for entry in caught.value.details["fields"]]
    assert any(path.startswith(field) for path in found), found
    assert field in caught.value.message


def test_a_digest_pins_an_image() -> None:
    image = "ecp-ai/stt@sha256:" + "0" * 64
    assert parse_changed(stt(image=image)).services["stt"].image == image


@pytest.mark.parametrize("text", ["[", "- a", "", "a: &a [*a]\na: 1", "services: {a: 1, a: 2}"])
def test_a_file_that_is_no_catalogue_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError):
        parse_catalogue(text, *SHIPPED[1:])


def test_an_own_folder_may_replace_one_file_only(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(SHIPPED[2].replace("platform_fee: 247", "platform_fee: 0"))
    catalogue = load_catalogue(tmp_path)
    assert catalogue.prices.platform_fee == 0
    assert catalogue.services == default_catalogue().services


def test_a_folder_that_is_missing_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="not a folder"):
        load_catalogue(tmp_path / "typo")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogueError, match="cannot be read"):
        load_catalogue(tmp_path)


def test_quantities_read_as_in_the_public_api() -> None:
    assert [memory_text(n) for n in (0, 512, 1024, 1536, 65536)] == ["0Mi", "512Mi", "1Gi", "1536Mi", "64Gi"]
    shown = ["0.0TB", "0.03TB", "0.25TB", "1.0TB", "2.05TB"]
    assert [storage_text(n) for n in (0, 30, 250, 1000, 2050)] == shown
