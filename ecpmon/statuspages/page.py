"""A status page as HTML: no script, nothing from elsewhere, every text that came from people escaped. Pure.

It is made to be read: headings, tables and words say all that the bars show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from ecpmon.model.status_pages import Reading
from ecpmon.model.tenants import Language
from ecpmon.sla.maintenance import zone
from ecpmon.statuspages.bars import bars
from ecpmon.statuspages.figures import between, lasting, moment, percent
from ecpmon.statuspages.words import NAMES, Words

# A sign beside each word: nothing is told by its colour alone.
_SIGNS: Final = {"up": "●", "partly": "▲", "down": "■", "unknown": "◌", "maintenance": "◆"}
FORMATS: Final = ("pdf", "csv")
_ROBOTS: Final = '<meta name="robots" content="noindex">'


def page(reading: Reading, language: Language, address: str, *, public: bool) -> str:
    """`address`: the last part of the page's own, as what hangs on it is asked for. Links are for no index."""
    say = Words(language)
    parts = (
        _now(reading, say),
        _services(reading, say),
        _availability(reading, say),
        _incidents(reading, say),
        _maintenance(reading, say),
        _statements(reading, say, escape(address)),
    )
    title = say("title", name=reading.name)
    return _document(title, "".join(parts), say, head="" if public else _ROBOTS, languages=True)


def unknown(language: Language) -> str:
    """Of a page that there is not, for whichever reason."""
    say = Words(language)
    body = f"<h1>{escape(say('none_here'))}</h1><p>{escape(say('none_why'))}</p>"
    return _document(say("none_here"), body, say, head=_ROBOTS, languages=False)


def _document(title: str, body: str, say: Words, *, head: str, languages: bool) -> str:
    other = "".join(
        f'<a href="?language={language.value}" lang="{language.value}" hreflang="{language.value}">{name}</a>'
        for language, name in NAMES.items()
        if language is not say.language
    )
    choice = f'<nav aria-label="{escape(say("language"))}">{other}</nav>' if languages else ""
    return (
        f'<!doctype html><html lang="{say.language.value}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>{head}'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="../ui/status.css"></head>'
        f"<body>{choice}<main>{body}</main></body></html>"
    )


def _mark(standing: str, word: str) -> str:
    return f'<span class="mark {standing}"><span aria-hidden="true">{_SIGNS[standing]}</span> {escape(word)}</span>'


def _now(reading: Reading, say: Words) -> str:
    planned = any(a.interval.start <= reading.as_of for a in reading.announced)
    extra = f"<p>{_mark('maintenance', say('now_maintenance'))}</p>" if planned else ""
    at = moment(reading.as_of, zone(reading.time_zone))
    return (
        f"<h1>{escape(reading.name)}</h1>"
        f'<p class="now {reading.standing}">{_mark(reading.standing, say(f"now_{reading.standing}"))}</p>{extra}'
        f'<p class="since">{escape(say("as_of", at=at, zone=reading.time_zone))}</p>'
    )


def _services(reading: Reading, say: Words) -> str:
    rows = "".join(
        f"<li><b>{escape(s.name)}</b> {_mark(s.standing, say(s.standing))}"
        + ("" if s.apart else f" <small>{escape(say('as_a_whole'))}</small>")
        + "</li>"
        for s in reading.services
    )
    return f'<h2>{escape(say("services"))}</h2><ul class="services">{rows}</ul>'


def _availability(reading: Reading, say: Words) -> str:
    whole, heading = reading.whole, say("availability", days=len(reading.days))
    span = ""
    if between(whole.low, whole.high):
        span = f"<small>{escape(say('bounds', low=percent(whole.low), high=percent(whole.high)))}</small>"
    rows = [
        (
            day.isoformat(),
            percent(of.availability),
            between(of.low, of.high) or "–",
            lasting(of.down, say),
            lasting(of.gap, say),
            lasting(of.maintenance, say),
        )
        for day, of in reversed(reading.days)
    ]
    heads = [say(w) for w in ("day", "available", "between", "down_time", "not_measured", "maintenance_time")]
    return (
        f'<h2>{escape(heading)}</h2><p class="whole"><b>{percent(whole.availability)}</b> '
        f"{escape(say('target', target=percent(reading.target)))} {span}</p>{bars(reading.days, say, heading)}"
        f"<details><summary>{escape(say('as_table'))}</summary>{_table(heads, rows, heading)}</details>"
    )


def _incidents(reading: Reading, say: Words) -> str:
    heading, local = say("incidents"), zone(reading.time_zone)
    if not reading.outages:
        return _section(heading, f"<p>{escape(say('no_incidents', days=len(reading.days)))}</p>")
    rows = [
        (
            moment(o.start, local),
            say("goes_on") if o.end is None else moment(o.end, local),
            lasting(o.down_seconds, say),
        )
        for o in reading.outages
    ]
    more = (
        f"<p>{escape(say('more_incidents', count=reading.more_outages))}</p>" if reading.more_outages else ""
    )
    return _section(heading, _table([say(w) for w in ("start", "end", "down_time")], rows, heading) + more)


def _maintenance(reading: Reading, say: Words) -> str:
    heading, local = say("maintenance"), zone(reading.time_zone)
    if not reading.announced:
        return _section(heading, f"<p>{escape(say('no_maintenance'))}</p>")
    rows = [
        (
            moment(a.interval.start, local),
            moment(a.interval.end, local),
            a.title or "–",
            say("under_way") if a.interval.start <= reading.as_of else "",
        )
        for a in reading.announced
    ]
    return _section(heading, _table([say("start"), say("end"), say("what"), ""], rows, heading))


def _statements(reading: Reading, say: Words, address: str) -> str:
    heading, local = say("statements"), zone(reading.time_zone)
    if not reading.periods:
        return _section(heading, f"<p>{escape(say('no_statements'))}</p>")
    items = "".join(
        f"<li><b>{p.name}</b> <small>{escape(say('revision', revision=p.revision))}, "
        f"{escape(moment(p.closed_at, local)[:10])}</small> "
        + " ".join(
            f'<a href="{address}/statements/{p.name}.{form}?language={say.language.value}" '
            f'aria-label="{p.name} {form.upper()}">{form.upper()}</a>'
            for form in FORMATS
        )
        + "</li>"
        for p in reading.periods
    )
    return _section(heading, f'<ul class="statements">{items}</ul>')


def _section(heading: str, body: str) -> str:
    return f"<h2>{escape(heading)}</h2>{body}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> str:
    """The first cell of a row says what it is about. Wide ones are moved within themselves, by keyboard as well."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' if each else "<td></td>" for each in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
