"""A statement in the shapes that are not JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import to_csv, to_html


def printed(data: dict[str, Any], shape: str, font: Path | None = None) -> bytes:
    """`data` (`sla.statements.document`) as `csv`, `html` or `pdf`; `font`: as `to_pdf` takes it.

    Raises UnusableFont.
    """
    match shape:
        case "csv":
            return to_csv(data).encode()
        case "html":
            return to_html(data).encode()
        case "pdf":
            return to_pdf(data, font)
    raise ValueError(f"no shape of a statement: {shape!r}")
