"""A statement as PDF. The only user of reportlab; Korean by the reader's own CID font, nothing is embedded."""

from __future__ import annotations

import io
from html import escape
from itertools import groupby
from typing import Any, Final

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from ecpmon.statements.render import facts, state_line, tables, title, verdict_sentence

# What platypus puts around the text of a page, in points.
FRAME_PADDING: Final = 6
_KOREAN: Final = "HYGothic-Medium"
_INK: Final = colors.HexColor("#1d2733")
_GREY: Final = colors.HexColor("#5a6775")
_LINE: Final = colors.HexColor("#dde3e8")
_VERDICT: Final = {
    "met": colors.HexColor("#1b8a4b"),
    "breached": colors.HexColor("#c0392b"),
    "undetermined": colors.HexColor("#c98a00"),
}


def _markup(text: str) -> str:
    """Escaped text whose parts that Latin letters cannot write are set in the Korean font."""
    parts = groupby(text, key=_is_latin)
    return "".join(
        escape("".join(run)) if latin else f'<font name="{_KOREAN}">{escape("".join(run))}</font>'
        for latin, run in parts
    )


def _is_latin(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _paragraph(text: str, size: float, colour: Any = _INK, space: float = 0) -> Paragraph:
    style = ParagraphStyle(
        "p", fontName="Helvetica", fontSize=size, leading=size * 1.35, textColor=colour, spaceAfter=space
    )
    return Paragraph(_markup(text), style)


def _grid(rows: list[list[str]], widths: list[float], head: list[str] | None) -> Table:
    cells = [[_paragraph(cell, 8.5) for cell in row] for row in rows]
    if head:
        cells.insert(0, [_paragraph(cell, 8.5, _GREY) for cell in head])
    style: list[Any] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 2.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.6),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
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


def to_pdf(data: dict[str, Any]) -> bytes:
    """A4 pages with the figures first, then the evidence; every page names the digest."""
    pdfmetrics.registerFont(UnicodeCIDFont(_KOREAN))
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, title=title(data), author="ecpmon", invariant=1,
        leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    width = page.width - 2 * FRAME_PADDING
    story: list[Flowable] = [
        _paragraph(title(data), 17, space=2),
        _paragraph(state_line(data), 9, _GREY, space=8),
        _paragraph(verdict_sentence(data), 13, _VERDICT[data["verdict"]], space=8),
        _grid([list(f) for f in facts(data)], [70 * mm, width - 70 * mm], None),
    ]
    for heading, columns, rows in tables(data):
        story += [Spacer(1, 7 * mm), _paragraph(heading, 12, space=4)]
        each = [width / len(columns)] * len(columns)
        story.append(_grid(rows, each, columns) if rows else _paragraph("None.", 9, _GREY))

    def footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(_GREY)
        canvas.drawString(20 * mm, 11 * mm, f"SHA-256 of the inputs: {data['digest']}")
        canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, f"Page {document.page}")
        canvas.restoreState()

    page.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()
