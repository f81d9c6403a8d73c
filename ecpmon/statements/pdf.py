"""A statement as PDF. What lays it out is large (`statements.pages`) and imported when the first is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecpmon.errors import PermanentError


class UnusableFont(PermanentError):
    """`ECPMON_PDF_FONT` names no TrueType font."""

    code = "UNUSABLE_FONT"
    status = 500


def to_pdf(data: dict[str, Any], font: Path | None = None) -> bytes:
    """A4 pages with the figures first, then the evidence; every page names the digest.

    `font`: a TrueType file for what Latin letters cannot write, embedded. Raises UnusableFont.
    """
    from ecpmon.statements.pages import pages

    return pages(data, font)
