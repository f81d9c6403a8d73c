"""YAML that strangers send: whatever stands in a manifest or in OpenSLO documents, it is read or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.errors import PayloadTooLarge, ValidationFailed
from ecpmon.orchestrator.validation import validate_manifest
from ecpmon.sla import yamlstream
from ecpmon.sla.openslo import Promise
from ecpmon.sla.openslo_reader import parse
from tests.fuzz.bodies import broken, written
from tests.fuzz.sending import LONGEST, SENT, Sender
from tests.fuzz.test_api import examples
from tests.unit.sla.test_openslo import EXAMPLE

GOOD = Path(__file__).parent.parent / "corpus" / "manifests" / "good"
MANIFESTS = [d for f in sorted(GOOD.glob("*.yaml")) for d in yaml.safe_load_all(f.read_text()) if d]
SLOS = list(yaml.load_all(EXAMPLE, yaml.BaseLoader))
# What YAML means by these, JSON cannot say.
TOKENS = (
    "2026-02-30", "0000-00-00", "2026-03-02T09:00:00+99:99", "1:99:99", "0x" + "f" * 400, "0b2", "1e9999", ".nan",
    "-.inf", "1_0_0", "!!binary x", "!!binary /w==", "!!set {a}", "!!omap [a: 1]", "!!timestamp x", "!!int x",
    "!!float x", "!!null x", "!!python/name:os.system", "{1: 2}", "{null: 1}", "{[1]: 2}", "{.nan: 1, .nan: 2}",
    "{<<: {a: 1}}", "<<", "=", "~", "&a [1]", "*a", "|\n  x", '"\\uD800"', '"\\0"', '"\\x85"', "9" * 5_000, "!!str 1",
    "2026-03-02", "{2026-03-02: 1}", "true", "off", "0o17", "017", "+1", "- 1",
)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn, fine: list[Any]) -> str:
    """One or two documents of `fine`, broken in a place or two, one of them perhaps in YAML's own ways."""
    chosen = draw(st.lists(st.sampled_from(fine), min_size=1, max_size=2)) if len(fine) > 2 else fine
    documents = [written(draw(broken(st.just(d))), escaped=True).decode() for d in chosen]
    if draw(st.booleans()):
        value = draw(st.sampled_from([v for v in _scalars(chosen[0]) if v]))
        written_value = written(value, escaped=True).decode()
        documents[0] = documents[0].replace(written_value, draw(st.sampled_from(TOKENS)), 1)
    return "\n---\n".join(documents)


def _scalars(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return [s for v in document.values() for s in _scalars(v)]
    if isinstance(document, list):
        return [s for v in document for s in _scalars(v)]
    return [document]


def check_manifests(count: int, longest: float | None = None) -> Sender:
    sender = Sender(longest)

    @examples(count)
    @given(streams(MANIFESTS), st.booleans())
    def check(content: str, strict: bool) -> None:
        if not sender.goes_on():
            return
        report = validate_manifest("acme", content, strict=strict, cluster_gpus=1)
        # What is said about it can be sent.
        assert orjson.dumps(report.shown())

    check()
    return sender


def check_slos(count: int, longest: float | None = None) -> Sender:
    sender = Sender(longest)

    @examples(count)
    @given(streams(SLOS))
    def check(content: str) -> None:
        if not sender.goes_on():
            return
        with contextlib.suppress(ValidationFailed, PayloadTooLarge):
            found = parse(yamlstream.load(content), Promise("acme", 0.995, "UTC"))
            assert orjson.dumps([o.model_dump(mode="json") for o in found.objectives])

    check()
    return sender


def test_no_manifest_breaks_the_validation() -> None:
    check_manifests(150)


def test_no_openslo_breaks_its_reader() -> None:
    check_slos(200)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("check", "count"), [(check_manifests, 5_000), (check_slos, 10_000)])
def test_no_yaml_breaks_its_readers_at_length(
    check: Callable[[int, float], Sender], count: int, record_property: Callable[[str, object], None]
) -> None:
    record_property(SENT, check(count, 10 * LONGEST).told(count))
