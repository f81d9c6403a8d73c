"""A statement as PDF. What lays it out is large (`statements.pages`) and imported when the first is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecpmon.errors import PermanentError
from ecpmon.statements.look import Look


class UnusableFont(PermanentError):
    """`ECPMON_PDF_FONT` names no TrueType font."""

    code = "UNUSABLE_FONT"
    status = 500


def to_pdf(data: Mapping[str, Any], look: Look | None = None) -> bytes:
    """A4 pages with the figures first, then the evidence; every page names the digest.

    The same statement in the same look is the same bytes. Raises UnusableFont, UnusableLogo.
    """
    from ecpmon.statements.pages import pages

    return pages(data, look or Look())
