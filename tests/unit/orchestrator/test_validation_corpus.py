"""The corpus of manifests: mistakes are told at the right place, and what a cluster takes is not refused."""

from __future__ import annotations

import json
import re

import pytest

from bench.validation import is_told, mistakes, refusals, valid_files
from ecpmon.orchestrator.validation import Finding, Report, validate_manifest
from tests.apiserver_corpus import NAMESPACE, Answer, answers

_VALID = valid_files()


def test_of_many_mistakes_nearly_all_are_told_at_the_right_place() -> None:
    every = list(mistakes())
    missed = [m.name for m in every if not is_told(m, validate_manifest("acme", m.text))]
    assert len(every) >= 150
    assert len(missed) <= len(every) * 0.02, missed


@pytest.mark.parametrize("name", _VALID)
def test_what_a_cluster_takes_is_not_refused(name: str) -> None:
    assert refusals(validate_manifest("acme", _VALID[name])) == []


def test_there_are_enough_valid_files() -> None:
    assert len(_VALID) >= 60


def test_what_a_real_api_server_answered_to_thousands_of_mutations_is_what_validation_says() -> None:
    """The fields are those that the server names, or within them. Its namespace is the one that was posted to."""
    told = [
        (a, validate_manifest("acme", json.dumps(a.body), namespace=NAMESPACE, version="1.36"))
        for a in answers()
    ]
    here = [(a, report) for a, report in told if not any(_is_elsewhere(e) for e in report.errors)]
    assert len(here) > 5_900
    assert [a.about for a, report in here if a.valid is bool(refusals(report))] == []
    invalid = [(a, report) for a, report in here if a.status == 422]
    elsewhere = [a.about for a, report in invalid if not _named(a, report)]
    assert len(elsewhere) <= len(invalid) * 0.02, elsewhere


def _is_elsewhere(finding: Finding) -> bool:
    """Of another namespace: the server refuses that before it looks at anything."""
    return finding.code == "WRONG_NAMESPACE" and bool(finding.values["found"])


def _named(answer: Answer, report: Report) -> bool:
    wanted = {re.sub(r"\[([^\]]*)\]", r".\1", field) for field in answer.fields}
    return any(e.path == w or e.path.startswith(f"{w}.") for e in report.errors for w in wanted)
