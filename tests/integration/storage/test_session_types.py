"""A process asks a server about the arrays of built-in types once, and not with each connection."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.storage import session_types
from ecpmon.storage.database import Database

SQL = "SELECT $1::bigint[], $2::double precision[], $3::timestamptz[], $4::jsonb[], $5::integer[], $6::uuid[]"
GIVEN: list[list[Any]] = [[1, 2], [0.5], [], [{"a": 1}], [3], []]


async def asked(url: str, sql: str, *given: Any) -> tuple[int, list[Any]]:
    """How many questions a new connection asks for one of ours, and what that says."""
    database, questions = Database(url), list[str]()
    try:
        async with database.connection() as connection:
            with connection.query_logger(lambda record: questions.append(record.query)):
                [row] = await connection.fetch(sql, *given)
            await connection.fetchval("SELECT 1")  # questions are noted a moment after they are answered
        return len(questions), list(row)
    finally:
        await database.close()


async def test_a_new_connection_asks_nothing_about_types_that_another_one_met(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_types, "_known", {})
    first, said = await asked(migrated_dsn, SQL, *GIVEN)
    again, same = await asked(migrated_dsn, SQL, *GIVEN)
    assert said == same == GIVEN
    # Otherwise asyncpg asks nobody any more, and all of this can go.
    assert first > 1
    assert again == 1


async def test_a_type_of_the_database_itself_is_asked_for_by_each(migrated_dsn: str) -> None:
    sql = "SELECT ARRAY[h] FROM (SELECT 1 AS n) AS x LEFT JOIN leadership h ON h.role = 'nobody'"
    first, said = await asked(migrated_dsn, sql)
    again, same = await asked(migrated_dsn, sql)
    assert said == same
    assert first == again > 1
