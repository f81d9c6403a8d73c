"""Named SQL: `sql/queries/<file>.sql` holds statements, each after a line `-- name: <name>`."""

from __future__ import annotations

import re
from functools import cache

from ecpmon.resources import data_dir

_NAME = re.compile(r"^-- name: ([a-z0-9_]+)\s*$", re.MULTILINE)


@cache
def load(file: str) -> dict[str, str]:
    """The statements of one file by name. Raises ValueError on a name given twice."""
    text = (data_dir("sql") / "queries" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"sql/queries/{file}.sql names a statement twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
