"""docs/reference/database.md is what people who use SQL may read. `ECPMON_RECORD=1` writes it anew."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import Final

from ecpmon.storage.database import Database

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "database.md"
HEAD: Final = """# Database
What the [roles for SQL](../monitoring.md#sql-as-the-source-documents-use-it) may read. Everything else is the
service's own and changes with releases.

| relation | column | type |
|---|---|---|
"""
COLUMNS: Final = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
WHERE c.table_schema = 'public' AND (c.table_name = 'tenants' OR EXISTS (
  SELECT FROM pg_views v WHERE v.schemaname = 'public' AND v.viewowner = current_user AND v.viewname = c.table_name))
ORDER BY c.table_name, c.ordinal_position"""


async def test_the_page_of_the_database_is_what_people_may_read(database: Database) -> None:
    found = groupby(await database.fetch(COLUMNS), key=lambda row: row["table_name"])
    lines = []
    for relation, columns in found:
        for number, row in enumerate(columns):
            lines.append(
                f"| {'' if number else f'`{relation}`'} | `{row['column_name']}` | {row['data_type']} |"
            )
    text = HEAD + "\n".join(lines) + "\n"
    if os.environ.get("ECPMON_RECORD"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
