"""Lays a statement out as PDF (`statements.pdf`). The only user of reportlab.

Latin text is Helvetica, the rest the Korean font.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Final

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from ecpmon.statements.pdf import UnusableFont
from ecpmon.statements.render import facts, state_line, tables, title, verdict_sentence

# What platypus puts around the text of a page, in points.
FRAME_PADDING: Final = 6
# Of one table: whoever flaps a thousand times a day does not print a thousand pages.
MOST_ROWS: Final = 500
_LATIN: Final = "Helvetica"
_LEADING: Final = 1.35
# Of tables, in points.
_CELL: Final = 8.5
_CELL_LEFT: Final = 2
_CELL_RIGHT: Final = 6
_KOREAN: Final = "Embedded"
# The one that readers bring along, when nothing is embedded.
_READERS_OWN: Final = "HYGothic-Medium"
# Fonts are registered for the whole process.
_ONE_AT_A_TIME: Final = Lock()
_INK: Final = colors.HexColor("#1d2733")
_GREY: Final = colors.HexColor("#5a6775")
_LINE: Final = colors.HexColor("#dde3e8")
_VERDICT: Final = {
    "met": colors.HexColor("#1b8a4b"),
    "breached": colors.HexColor("#c0392b"),
    "undetermined": colors.HexColor("#c98a00"),
}


def _is_latin(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _style(size: float, colour: Any, space: float) -> ParagraphStyle:
    return ParagraphStyle(
        "p", fontName=_LATIN, fontSize=size, leading=size * _LEADING, textColor=colour, spaceAfter=space
    )


@dataclass(frozen=True, slots=True)
class _Setter:
    """Sets text; `korean` is the font of what Latin letters cannot write."""

    korean: str

    def markup(self, text: str) -> str:
        if _is_latin(text):
            return escape(text)
        parts = ((latin, escape("".join(run))) for latin, run in groupby(text, key=_is_latin))
        return "".join(run if latin else f'<font name="{self.korean}">{run}</font>' for latin, run in parts)

    def paragraph(self, text: str, size: float, colour: Any = _INK, space: float = 0) -> Paragraph:
        return Paragraph(self.markup(text), _style(size, colour, space))

    def cell(self, text: str, width: float, colour: Any = _INK) -> Paragraph | str:
        """A line that fits is no paragraph: setting one costs twenty times as much, and there are thousands."""
        plain = _is_latin(text) and text.isprintable()
        if plain and stringWidth(text, _LATIN, _CELL) <= width - _CELL_LEFT - _CELL_RIGHT:
            return text
        return self.paragraph(text, _CELL, colour)

    def grid(self, rows: list[list[str]], widths: list[float], head: list[str] | None) -> Table:
        cells = [[self.cell(cell, w) for cell, w in zip(row, widths, strict=True)] for row in rows]
        if head:
            cells.insert(0, [self.cell(cell, w, _GREY) for cell, w in zip(head, widths, strict=True)])
        style: list[Any] = [
            ("FONT", (0, 0), (-1, -1), _LATIN, _CELL, _CELL * _LEADING),
            ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
            ("TEXTCOLOR", (0, 0), (-1, 0), _GREY if head else _INK),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
            ("TOPPADDING", (0, 0), (-1, -1), 2.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
            ("LEFTPADDING", (0, 0), (-1, -1), _CELL_LEFT),
            ("RIGHTPADDING", (0, 0), (-1, -1), _CELL_RIGHT),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        return Table(
            cells,
            colWidths=widths,
            style=TableStyle(style),
            repeatRows=1 if head else 0,
            hAlign="LEFT",
            splitInRow=1,
        )


@cache
def _korean(font: Path | None) -> UnicodeCIDFont | TTFont:
    if font is None:
        return UnicodeCIDFont(_READERS_OWN)
    try:
        return TTFont(_KOREAN, str(font))
    except (TTFError, OSError) as error:
        message = f"{font} cannot be embedded: {error}; set ECPMON_PDF_FONT to a TrueType file"
        raise UnusableFont(message) from error


def pages(data: dict[str, Any], font: Path | None = None) -> bytes:
    """A4 pages with the figures first, then the evidence; every page names the digest.

    `font`: a TrueType file for what Latin letters cannot write, embedded. Raises UnusableFont.
    """
    with _ONE_AT_A_TIME:
        registered = _korean(font)
        pdfmetrics.registerFont(registered)
        return _built(data, _Setter(registered.fontName))


def _built(data: dict[str, Any], text: _Setter) -> bytes:
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, title=title(data), author="ecpmon", invariant=1,
        leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    width = page.width - 2 * FRAME_PADDING
    story: list[Flowable] = [
        text.paragraph(title(data), 17, space=2),
        text.paragraph(state_line(data), 9, _GREY, space=8),
        text.paragraph(verdict_sentence(data), 13, _VERDICT[data["verdict"]], space=8),
        text.grid([list(f) for f in facts(data)], [70 * mm, width - 70 * mm], None),
    ]
    for heading, columns, rows in tables(data):
        story += [Spacer(1, 7 * mm), text.paragraph(heading, 12, space=4)]
        each = [width / len(columns)] * len(columns)
        story.append(
            text.grid(rows[:MOST_ROWS], each, columns) if rows else text.paragraph("None.", 9, _GREY)
        )
        if (more := len(rows) - MOST_ROWS) > 0:
            story.append(
                text.paragraph(f"And {more} more: they are in the JSON of this statement.", 9, _GREY)
            )

    def footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(_GREY)
        canvas.drawString(20 * mm, 11 * mm, f"SHA-256 of the inputs: {data['digest']}")
        canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, f"Page {document.page}")
        canvas.restoreState()

    page.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()
