"""What statements say alike is said once; what does not fit together is found when it is loaded."""

from __future__ import annotations

import pytest

from ecpmon.resources import data_dir
from ecpmon.storage.queries import assembled, load

PARTS = """
-- part: rows
FROM {table} r WHERE {bound}
-- part: until
r.at < $1
-- part: since
r.at >= $1
-- name: one
SELECT '{}', a {rows table=first bound=until}
-- name: other
SELECT b {rows table=second bound=since}
"""


def test_parts_are_put_in_with_what_fills_their_places() -> None:
    assert assembled(PARTS) == {
        "one": "SELECT '{}', a FROM first r WHERE r.at < $1",
        "other": "SELECT b FROM second r WHERE r.at >= $1",
    }


def test_parts_may_come_from_elsewhere_and_need_not_be_used_then() -> None:
    shared = "-- part: mine\nLIMIT 1\n-- part: unused\nx"
    assert assembled("-- name: one\nSELECT 1 {mine}", shared) == {"one": "SELECT 1 LIMIT 1"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: a\nx\n-- name: a\ny", "twice"),
        ("-- part: a\nx\n-- part: a\ny\n-- name: b\n{a}", "twice"),
        ("-- name: a\n{gone}", "nothing fills {gone}"),
        ("-- part: p\n{place}\n-- name: a\n{p}", "nothing fills {place}"),
        ("-- part: p\nx\n-- name: a\n{p place=word}", "p has no place for place"),
        ("-- part: p\n{q}\n-- part: q\n{p}\n-- name: a\n{p}", "p holds itself"),
        ("-- part: p\nx\n-- name: a\ny", "nobody uses p"),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("{", r"\{").replace("}", r"\}")):
        assembled(text, where="a file")


def test_every_file_of_statements_fits_together() -> None:
    files = sorted(file.stem for file in (data_dir("sql") / "queries").glob("*.sql"))
    assert len(files) > 20
    texts = [text for file in files for text in load(file).values()]
    assert all(texts)
    assert [text for text in texts if "-- part:" in text or "{rollups}" in text] == []
