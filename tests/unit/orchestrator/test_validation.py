"""Broken manifests: one file each in tests/corpus, `# expect: CODE path` in its first line.

The mutations below break a rendered manifest in one place.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from test_manifests import MIXED, rendered

from ecpmon.errors import ValidationFailed
from ecpmon.kube.amounts import quantity
from ecpmon.orchestrator.manifests import to_yaml
from ecpmon.orchestrator.validation import validate_manifest
from tests.cost import at_most

CORPUS = sorted((Path(__file__).parents[2] / "corpus" / "manifests" / "broken").glob("*.yaml"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_a_broken_manifest_is_told_where(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    _, _, expected = text.split("\n")[0].partition("expect: ")
    code, _, where = expected.partition(" ")
    report = validate_manifest("acme", text)
    found = {(f.code, f.path) for f in (*report.errors, *report.warnings)}
    assert (code, where) in found


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 40


def test_a_manifest_too_large_deep_or_full_of_aliases_is_not_built() -> None:
    bomb = "b0: &b0 [x,x]\n" + "".join(f"b{n}: &b{n} [{f'*b{n - 1},' * 6}]\n" for n in range(1, 20))
    for text, code in (
        ("#" * 1_000_001, "TOO_LARGE"),
        (bomb, "TOO_MANY_VALUES"),
        ("- &a x\n" + "- *a\n" * 501, "TOO_MANY_ALIASES"),
        ("[" * 80 + "]" * 80, "TOO_DEEP"),
        ("a: [" + "{}," * 12_001 + "]", "TOO_MANY_COLLECTIONS"),
        ("--- {}\n" * 600, "TOO_MANY_DOCUMENTS"),
    ):
        assert [f.code for f in validate_manifest("acme", text).errors] == [code]


def _list_of(item: str, times: int) -> str:
    return "kind: List\nitems:\n" + f"- {item}\n" * times


_MEGABYTE: dict[str, tuple[str, str]] = {
    "scalars": ("a:\n" + "- x\n" * 249_000, "TOO_MANY_VALUES"),
    "flow": ("[" + "1," * 499_000 + "1]", "TOO_MANY_VALUES"),
    "aliases": (
        "a: &a [" + "1," * 100_000 + "1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]", "TOO_MANY_VALUES"
    ),
    "base 60": ("a: " + "1:" * 490_000 + "1", "NO_TYPE"),
    "digits": ("a: 0x" + "f" * 990_000, "NO_TYPE"),
    "directives": ("%TAG !a! b\n" * 90_000 + "--- a", "YAML_MALFORMED"),
    "objects": (_list_of("{kind: Deployment}", 11_900), "TOO_MANY_OBJECTS"),
    "containers": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n"
        "      containers:\n" + "      - {}\n" * 11_000 + "#" * 400_000,
        "TOO_MANY_CONTAINERS",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _MEGABYTE)
def test_a_hostile_megabyte_is_answered_soon_and_shortly(name: str) -> None:
    text, code = _MEGABYTE[name]
    with at_most(600):  # about 0.15 s for the slowest; without the limits half a minute
        report = validate_manifest("acme", text)
    assert code in {f.code for f in report.errors}
    assert len(json.dumps(report.shown())) < 1_000_000


@pytest.mark.parametrize("text", ["NaN", "1_000", "-1", "1e", "inf", "1GB", "", "1 Gi"])
def test_what_kubernetes_refuses_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity(text)


def test_quantities_are_exact() -> None:
    assert [quantity(t) for t in ("250m", "2", "1Ki", "1.5G", "1e3")] == [
        Decimal("0.25"), 2, 1024, Decimal("1.5e9"), 1000,
    ]  # fmt: skip


def test_strict_turns_warnings_into_errors() -> None:
    text = to_yaml(rendered(MIXED))
    assert [w.code for w in validate_manifest("acme", text, cluster_gpus=3).warnings] == ["GPU_CAPACITY"]
    assert not validate_manifest("acme", text, cluster_gpus=3, strict=True).valid
    with pytest.raises(ValidationFailed):
        validate_manifest("acme", text, version="1.5")


def test_gpus_are_held_against_the_cluster() -> None:
    text = to_yaml(rendered(MIXED))
    assert [e.code for e in validate_manifest("acme", text, cluster_gpus=2).errors] == ["GPU_BEYOND_CLUSTER"]
    near = validate_manifest("acme", text, cluster_gpus=3)
    assert near.valid
    assert near.warnings[0].path == "spec.template.spec.containers.0.resources.limits.nvidia.com/gpu"
    assert not validate_manifest("acme", text, cluster_gpus=4).warnings


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "1: {2: 3}", "kind: [x]\napiVersion: {}", "? [a]\n: b", "metadata: 3\nspec: x\nkind: Service",
     "apiVersion: apps/v1\nkind: Deployment\nspec: {selector: {matchLabels: {a: [b]}}}"],
)  # fmt: skip
def test_odd_shapes_are_findings_and_never_exceptions(text: str) -> None:
    assert not validate_manifest("acme", text).valid


GOOD = sorted((Path(__file__).parents[2] / "corpus" / "manifests" / "good").glob("*.yaml"))


@pytest.mark.parametrize("version", ["1.28", "1.37"])
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_manifest_passes_without_a_warning(path: Path, version: str) -> None:
    report = validate_manifest("acme", path.read_text(encoding="utf-8"), version=version)
    assert [f.shown() for f in (*report.errors, *report.warnings)] == []
    assert report.resource_summary["deployments"] >= 1
