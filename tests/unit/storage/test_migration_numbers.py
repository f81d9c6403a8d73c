"""The migrations as they stand in the repository: a test that needs no database, as two hands may take one number."""

from __future__ import annotations

from ecpmon.storage.migrations import discover


def test_the_migrations_of_the_repository_have_each_a_number_of_their_own() -> None:
    assert discover()[-1].version == len(discover())
