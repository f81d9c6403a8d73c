"""A statement in the shapes that are not JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecpmon.statements.look import Look
from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import to_csv, to_html


def printed(data: Mapping[str, Any], shape: str, look: Look | None = None) -> bytes:
    """`data` (`sla.statement_document.document`) as `csv`, `html` or `pdf`. Raises UnusableFont, UnusableLogo."""
    match shape:
        case "csv":
            return to_csv(data).encode()
        case "html":
            return to_html(data, look).encode()
        case "pdf":
            return to_pdf(data, look)
    raise ValueError(f"no shape of a statement: {shape!r}")
