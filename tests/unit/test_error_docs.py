"""Every error that the API can answer with is documented and can be said in Korean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ecpmon import errors
from ecpmon.korean.messages import KOREAN
from ecpmon.serving import CODES

TABLE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
# On the command line only.
NOT_ANSWERED = {"LOCAL_STACK"}


def kinds(of: type[errors.EcpError] = errors.EcpError) -> Iterator[tuple[int, str]]:
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind.status, kind.code
            yield from kinds(kind)


def answered() -> set[tuple[int, str]]:
    bases = {
        (errors.TemporaryError.status, "INTERNAL_ERROR"),
        (errors.PermanentError.status, "INTERNAL_ERROR"),
    }
    return {each for each in {*kinds(), *CODES.items()} - bases if each[1] not in NOT_ANSWERED}


def test_the_documented_errors_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ((?:`\w+`(?:, )?)+) \|", TABLE, re.MULTILINE)
    documented = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert documented == answered()


def test_every_error_can_be_said_in_korean() -> None:
    assert {code for _, code in answered()} <= KOREAN.keys()
