"""The bars of a status page: one a day, of what its time was. Pure; drawn as SVG, coloured by the page's style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from html import escape
from typing import Final

from ecpmon.model.status_pages import Measured
from ecpmon.statuspages.figures import between, lasting, percent
from ecpmon.statuspages.words import Words

_HEIGHT: Final = 40
_WIDE: Final = 8
_GAP: Final = 2
# An outage of a minute is seen in the bar of its day, too.
_LEAST: Final = 0.12
# From the top to the bottom, with the words of the legend.
_KINDS: Final = (
    ("down", "down_time"),
    ("gap", "not_measured"),
    ("maintenance", "maintenance_time"),
    ("up", "up"),
)


def bars(days: Sequence[tuple[date, Measured]], say: Words, name: str) -> str:
    """A figure with a legend; `name` is what it is about."""
    drawn = "".join(_bar(n * _WIDE, day, of, say) for n, (day, of) in enumerate(days))
    there = {kind for _, of in days for kind, _ in _parts(of)}
    legend = "".join(
        f'<li><span class="swatch {kind}" aria-hidden="true"></span>{escape(say(word))}</li>'
        for kind, word in _KINDS
        if kind in there
    )
    return (
        f'<figure><svg class="days" viewBox="0 0 {len(days) * _WIDE} {_HEIGHT}" role="img" aria-label="{escape(name)}" '
        f'preserveAspectRatio="none">{drawn}</svg><figcaption>{escape(say("legend"))}</figcaption>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _bar(left: int, day: date, of: Measured, say: Words) -> str:
    found = list(_parts(of))
    top, parts = 1.0 - sum(share for _, share in found), ""  # what is short stands at the bottom
    for kind, share in found:
        parts += (
            f'<rect class="{kind}" x="{left}" y="{abs(top) * _HEIGHT:.2f}" width="{_WIDE - _GAP}" '
            f'height="{share * _HEIGHT:.2f}"/>'
        )
        top += share
    return f"<g><title>{escape(f'{day.isoformat()}: {_told(of, say)}')}</title>{parts}</g>"


def _told(of: Measured, say: Words) -> str:
    if of.availability is None:
        return say("nothing")
    span = between(of.low, of.high)
    down = f", {say('down_time')} {lasting(of.down, say)}" if of.down > 0 else ""
    return percent(of.availability) + (f" ({span})" if span else "") + down


def _parts(of: Measured) -> Iterator[tuple[str, float]]:
    """What a bar is made of, as shares of it. Nothing was eligible: a bar of maintenance, or one of nothing known."""
    up = max(of.eligible - of.down - of.gap, 0.0)
    seconds = {"down": of.down, "gap": of.gap, "maintenance": of.maintenance, "up": up}
    whole = sum(seconds.values())
    if whole <= 0:
        yield "gap", _LEAST
        return
    seen = {kind: max(value / whole, _LEAST) for kind, value in seconds.items() if value > 0}
    total = sum(seen.values())
    yield from ((kind, share / total) for kind, share in seen.items())
