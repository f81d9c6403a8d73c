"""The rules give what a real API server answered to some 6,000 mutations: tests/corpus/api-server."""

from __future__ import annotations

from collections import Counter

import pytest

from ecpmon.kube.checks import check
from tests.apiserver_corpus import NAMESPACE, Answer, answers, bases

# Objects of another namespace than the path's are refused before anything of them is looked at.
Said = tuple[int, frozenset[str]]


def said_of(answer: Answer) -> Said:
    metadata = answer.body.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    if namespace not in (None, "", NAMESPACE):
        return 400, frozenset()
    verdict = check(answer.body)
    if not verdict.findings.fine:
        return 400, frozenset()
    return (422 if verdict.causes else 201), frozenset(cause.field for cause in verdict.causes)


@pytest.fixture(scope="module")
def compared() -> list[tuple[Answer, Said]]:
    return [(answer, said_of(answer)) for answer in answers()]


def shown(found: list[tuple[Answer, Said]]) -> list[str]:
    return [f"{a.resource} {a.about}: {a.status} {sorted(a.fields)}, here {said}" for a, said in found[:20]]


def test_the_bases_are_valid_and_all_mutations_are_there(compared: list[tuple[Answer, Said]]) -> None:
    assert {name: check(body).causes for name, body in bases().items()} == dict.fromkeys(bases(), ())
    assert Counter(answer.status for answer, _ in compared) == {400: 4054, 422: 1047, 201: 1068}


def test_nothing_valid_is_refused_and_nothing_else_let_pass(compared: list[tuple[Answer, Said]]) -> None:
    wrong = [(answer, said) for answer, said in compared if (said[0] == 201) is not answer.valid]
    assert shown(wrong) == []


def test_what_cannot_be_decoded_is_told_from_what_is_invalid(compared: list[tuple[Answer, Said]]) -> None:
    assert shown([(answer, said) for answer, said in compared if answer.status != said[0]]) == []


def test_the_fields_are_those_that_the_server_names(compared: list[tuple[Answer, Said]]) -> None:
    wrong = [(a, said) for a, said in compared if a.status == 422 and a.fields != said[1]]
    assert shown(wrong) == []
