"""What sampled stacks say."""

from __future__ import annotations

import pytest

from bench.stacks import summary, table

LIB = "/venv/lib/python3.11/site-packages"
LOOP, OURS, DEEPER = (
    "run (asyncio/runners.py:5)",
    "take (ecpmon/api/pushing.py:7)",
    "take (ecpmon/api/pushing.py:9)",
)
STACKS = [
    f"{LOOP};{OURS};{DEEPER};encode (/opt/ecpmon/ecpmon/wire.py:3) 4",
    f"{LOOP};{OURS};fetch ({LIB}/asyncpg/connection.py:66) 5",
    f"{LOOP} 1",
    "",
]


def test_the_innermost_frame_says_who_works_and_all_frames_under_whom() -> None:
    found = summary(STACKS)
    assert found.samples == 10
    assert found.parts == {"asyncpg": 0.5, "ecpmon": 0.4, "Python's own": 0.1}
    assert found.under["take, api/pushing.py"] == pytest.approx(0.9), "once, although it is there twice"
    assert found.under["run, asyncio/runners.py"] == 1


def test_a_folder_of_ours_is_a_part_wherever_it_is_installed() -> None:
    assert summary([f"pack ({LIB}/ecpmon/storage/steady.py:1) 1"]).parts == {"ecpmon/storage": 1}
    assert summary(["pack (/home/ecpmon/ecpmon/storage/steady.py:1) 1"]).parts == {"ecpmon/storage": 1}


def test_what_was_before_stands_beside_it_and_what_is_gone_too() -> None:
    lines = table("push", {"a": 0.4, "all": 1.0}, {"b": 0.7, "a": 0.3, "all": 1.0}, rows=5)
    assert lines == [
        "| push | before | now |",
        "|---|---|---|",
        "| `b` | 70% | 0% |",
        "| `a` | 30% | 40% |",
    ]
    assert table("push", {"a": 0.4, "b": 0.2}, None, rows=1) == [
        "| push | now |",
        "|---|---|",
        "| `a` | 40% |",
    ]
