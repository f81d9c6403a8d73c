"""A badge: whose status it is, and which, in words. Pure. It loads nothing, fonts neither."""

from __future__ import annotations

from html import escape
from typing import Final

from ecpmon.model.status_pages import Standing
from ecpmon.statuspages.words import Words

# White on these has a contrast of at least 4.5 to 1.
_COLOURS: Final[dict[Standing, str]] = {
    "up": "#17693a", "partly": "#8a5200", "down": "#b3261e", "unknown": "#545c6b",
}  # fmt: skip
_MOST: Final = 40
_HEIGHT: Final = 20
_PADDING: Final = 7


def badge(name: str, standing: Standing, say: Words) -> str:
    """An SVG. `name` is cut where it is long."""
    label = name if len(name) <= _MOST else name[: _MOST - 1] + "…"
    word = say(standing)
    left, right = _width(label), _width(word)
    told = escape(f"{label}: {word}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" '
        f'aria-label="{told}" lang="{say.language.value}"><title>{told}</title>'
        f'<rect width="{left + right}" height="{_HEIGHT}" rx="3" fill="{_COLOURS[standing]}"/>'
        f'<path d="M3 0H{left}V{_HEIGHT}H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#3a404a"/>'
        '<g fill="#fff" font-family="system-ui,sans-serif" font-size="12" text-anchor="middle">'
        f'{_text(left / 2, label)}{_text(left + right / 2, word)}</g></svg>'
    )  # fmt: skip


def _text(centre: float, text: str) -> str:
    return f'<text x="{centre:g}" y="14">{escape(text)}</text>'


def _width(text: str) -> int:
    """About as wide as the usual fonts draw it, with room at both sides: Hangul is twice as wide as a letter."""
    return round(sum(12.5 if ord(letter) >= 0x1100 else 7.2 for letter in text)) + 2 * _PADDING
