"""Lays a statement out as PDF (`statements.pdf`). The only user of reportlab, and of svglib for a logo that is an SVG.

Text is set in the language's own font; what that cannot write in the other one: Helvetica and the embedded font with
Hangul write both between them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from ecpmon.model.tenants import Language
from ecpmon.statements.look import Logo, Look, UnusableLogo, read_logo
from ecpmon.statements.pdf import UnusableFont
from ecpmon.statements.plot import COLOURS, Column, columns, kinds
from ecpmon.statements.render import facts, state_line, tables, title, verdict_sentence
from ecpmon.statements.words import Words

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
_HANGUL: Final = "Embedded"
_LOGO: Final = (45 * mm, 16 * mm)
_PLOT_HEIGHT: Final = 22 * mm
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
def _style(font: str, size: float, colour: Any, space: float) -> ParagraphStyle:
    return ParagraphStyle(
        "p", fontName=font, fontSize=size, leading=size * _LEADING, textColor=colour, spaceAfter=space
    )


@dataclass(frozen=True, slots=True)
class _Setter:
    """Sets text in `font`, and in the other one what that cannot write."""

    font: str
    hangul: TTFont

    def writes(self, text: str) -> bool:
        """Whether `font` can write all of it."""
        if self.font == _LATIN:
            return _is_latin(text)
        glyphs = self.hangul.face.charToGlyph
        return all(ord(letter) in glyphs for letter in text)

    def markup(self, text: str) -> str:
        if self.writes(text):
            return escape(text)
        other = _HANGUL if self.font == _LATIN else _LATIN
        parts = ((own, escape("".join(run))) for own, run in groupby(text, key=self.writes))
        return "".join(run if own else f'<font name="{other}">{run}</font>' for own, run in parts)

    def paragraph(self, text: str, size: float, colour: Any = _INK, space: float = 0) -> Paragraph:
        return Paragraph(self.markup(text), _style(self.font, size, colour, space))

    def cell(self, text: str, width: float, colour: Any = _INK) -> Paragraph | str:
        """A line that fits is no paragraph: setting one costs twenty times as much, and there are thousands."""
        plain = text.isprintable() and self.writes(text)
        if plain and stringWidth(text, self.font, _CELL) <= width - _CELL_LEFT - _CELL_RIGHT:
            return text
        return self.paragraph(text, _CELL, colour)

    def grid(self, rows: list[list[str]], widths: list[float], head: list[str] | None) -> Table:
        cells = [[self.cell(cell, w) for cell, w in zip(row, widths, strict=True)] for row in rows]
        if head:
            cells.insert(0, [self.cell(cell, w, _GREY) for cell, w in zip(head, widths, strict=True)])
        style: list[Any] = [
            ("FONT", (0, 0), (-1, -1), self.font, _CELL, _CELL * _LEADING),
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
def _hangul(font: Path) -> TTFont:
    try:
        return TTFont(_HANGUL, str(font))
    except (TTFError, OSError) as error:
        message = f"{font} cannot be embedded: {error}; set ECPMON_PDF_FONT to a TrueType file"
        raise UnusableFont(message) from error


def pages(data: Mapping[str, Any], look: Look) -> bytes:
    """A4 pages with the figures first, then the evidence; every page names the digest.

    Raises UnusableFont, UnusableLogo.
    """
    with _ONE_AT_A_TIME:
        hangul = _hangul(look.font_file)
        pdfmetrics.registerFont(hangul)
        setter = _Setter(_HANGUL if look.language is Language.KO else _LATIN, hangul)
        return _built(data, setter, Words(look.language), look)


def _built(data: Mapping[str, Any], text: _Setter, say: Words, look: Look) -> bytes:
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, title=title(data, say), author=look.operator or "ecpmon", invariant=1,
        leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    width = page.width - 2 * FRAME_PADDING

    def footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont(text.font, 7)
        canvas.setFillColor(_GREY)
        canvas.drawString(20 * mm, 11 * mm, f"{say('digest')}: {data['digest']}")
        canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, say("page", number=document.page))
        canvas.restoreState()

    page.build(_story(data, text, say, look, width), onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _story(data: Mapping[str, Any], text: _Setter, say: Words, look: Look, width: float) -> list[Flowable]:
    story: list[Flowable] = [
        *([_picture(look.logo, read_logo(look.logo))] if look.logo else []),
        text.paragraph(title(data, say), 17, space=2),
        text.paragraph(state_line(data, say), 9, _GREY, space=2 if look.operator else 8),
        *(
            [text.paragraph(say("issued_by", operator=look.operator), 9, _GREY, space=8)]
            if look.operator
            else []
        ),
        text.paragraph(verdict_sentence(data, say), 13, _VERDICT[data["verdict"]], space=8),
        text.grid([list(f) for f in facts(data, say)], [70 * mm, width - 70 * mm], None),
    ]
    found = columns(data["days"], data["contract"]["maintenance_accounting"])
    if any(column.parts for column in found):
        story += [Spacer(1, 7 * mm), text.paragraph(say("plot"), 12, space=4)]
        story.append(_plot(found, text.font, say, width))
    for heading, heads, rows in tables(data, say):
        # No heading is alone at the end of a page.
        story += [CondPageBreak(32 * mm), Spacer(1, 7 * mm), text.paragraph(heading, 12, space=4)]
        each = [width / len(heads)] * len(heads)
        story.append(
            text.grid(rows[:MOST_ROWS], each, heads) if rows else text.paragraph(say("none"), 9, _GREY)
        )
        if (more := len(rows) - MOST_ROWS) > 0:
            story.append(text.paragraph(say("more", count=more), 9, _GREY))
    return story


def _plot(found: list[Column], font: str, say: Words, width: float) -> Drawing:
    """The days as columns, the first of each week named, and a legend."""
    legend = 4.5 * mm
    drawing = Drawing(width, _PLOT_HEIGHT + 2 * legend)
    wide = width / len(found)
    for n, column in enumerate(found):
        for part in column.parts:
            bottom, height = 2 * legend + part.bottom * _PLOT_HEIGHT, part.height * _PLOT_HEIGHT
            drawing.add(_box(n * wide + wide * 0.08, bottom, wide * 0.84, height, part.kind))
        if n % max(7, round(len(found) / 10)) == 0:
            drawing.add(
                String(n * wide, legend + 3, column.day[5:], fontName=font, fontSize=6.5, fillColor=_GREY)
            )
    left = 0.0
    for kind in kinds(found):
        drawing.add(_box(left, 2, 6, 6, kind))
        drawing.add(String(left + 9, 2, say(kind), fontName=font, fontSize=7.5, fillColor=_INK))
        left += 9 + stringWidth(say(kind), font, 7.5) + 12
    return drawing


def _box(left: float, bottom: float, width: float, height: float, kind: str) -> Rect:
    colour = colors.HexColor(COLOURS[kind])
    return Rect(left, bottom, width, height, fillColor=colour, strokeColor=None)  # type: ignore[arg-type]


def _picture(path: Path, logo: Logo) -> Flowable:
    """The logo, as large as fits. Raises UnusableLogo."""
    try:
        picture: Flowable = _svg(logo.data) if logo.kind == "svg" else _png(logo.data)
    except Exception as error:
        # Readers of pictures raise whatever they like.
        raise UnusableLogo(f"{path} cannot be drawn: {type(error).__name__}: {error}") from error
    picture.hAlign = "RIGHT"
    return picture


def _scale(width: float, height: float) -> float:
    return min(_LOGO[0] / width, _LOGO[1] / height)


def _png(data: bytes) -> Flowable:
    ImageReader(io.BytesIO(data)).getRGBData()  # type: ignore[no-untyped-call]  # all of it can be read
    picture = Image(io.BytesIO(data))
    scale = _scale(picture.drawWidth, picture.drawHeight)
    picture.drawWidth, picture.drawHeight = picture.drawWidth * scale, picture.drawHeight * scale
    return picture


def _svg(data: bytes) -> Flowable:
    from svglib.svglib import svg2rlg

    drawing = svg2rlg(io.BytesIO(data))
    if drawing is None:
        raise ValueError("no drawing in it")
    scale = _scale(drawing.width, drawing.height)
    drawing.scale(scale, scale)
    drawing.width, drawing.height = drawing.width * scale, drawing.height * scale
    found: Flowable = drawing
    return found
