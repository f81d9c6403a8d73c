"""What processes of one machine count together: each sees what the others wrote, whoever and whenever it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon import ledger
from ecpmon.ledger import Entry, Ledger


def test_each_reads_what_the_others_wrote_and_writes_its_own(tmp_path: Path) -> None:
    one, two, three = (Ledger(tmp_path / "x", 3, n) for n in range(3))
    one.add("bank", 2, owed=5, at=7)
    one.add("bank", 3, owed=6, at=8)
    two.add("bank", 10)
    two.add("shop", 1)
    assert one.own("bank") == Entry(5, 6, 8)
    assert (one.total_of_others("bank"), two.total_of_others("bank"), three.total_of_others("bank")) == (
        10,
        5,
        15,
    )
    assert (one.total_of_others("shop"), two.total_of_others("shop"), one.own("shop")) == (1, 0, None)


def test_what_a_process_wrote_stays_when_it_is_killed_and_its_follower_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = (
        "import os, signal, sys; from pathlib import Path; from ecpmon.ledger import Ledger;"
        "Ledger(Path(sys.argv[1]), 2, 1).add('bank', 4); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for total in (4, 8):
        subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert Ledger(path, 2, 0).total_of_others("bank") == total


def test_who_begins_anew_can_give_back_what_it_held(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path / "x", 2, 0), Ledger(tmp_path / "x", 2, 1)
    one.add("bank", 4)
    two.add("bank", 1)
    Ledger(tmp_path / "x", 2, 0).clear()
    assert (two.total_of_others("bank"), one.total_of_others("bank")) == (0, 1)


def test_what_is_held_is_not_given_up_for_a_new_key_while_there_are_keys_of_which_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SLOTS", 8)
    one, two = Ledger(tmp_path / "x", 2, 0), Ledger(tmp_path / "x", 2, 1)
    for n in range(7):
        one.add(f"held {n}", n + 1)
    for n in range(50):
        one.add(f"passing {n}", 1)
        one.add(f"passing {n}", -1)
    assert [two.total_of_others(f"held {n}") for n in range(7)] == [1, 2, 3, 4, 5, 6, 7]


def test_when_a_column_is_full_the_longest_unused_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SLOTS", 8)
    one, two = Ledger(tmp_path / "x", 2, 0), Ledger(tmp_path / "x", 2, 1)
    for n in range(9):
        one.add(f"key {n}", n + 1, at=n)
    assert [two.total_of_others(f"key {n}") for n in range(9)] == [0, 2, 3, 4, 5, 6, 7, 8, 9]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdefgh"), st.integers(-3, 9)), max_size=60))
def test_whatever_is_added_in_whatever_order_is_told_to_all(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "x"
    views = [Ledger(path, 3, n) for n in range(3)]
    totals = {(n, key): 0 for n in range(3) for key in "abcdefgh"}
    for n, key, amount in steps:
        views[n].add(key, amount)
        totals[n, key] += amount
    for n, view in enumerate(views):
        for key in "abcdefgh":
            assert view.total_of_others(key) == sum(totals[m, key] for m in range(3) if m != n)
