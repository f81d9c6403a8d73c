"""A status page as HTML and badge: what people wrote is text, figures are never rounded up, words tell all."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from string import Formatter

import pytest

from ecpmon.model.maintenance import Interval
from ecpmon.model.status_pages import Announced, ClosedPeriod, Measured, Outage, Reading, Service, Standing
from ecpmon.model.tenants import Language
from ecpmon.statuspages.badge import badge
from ecpmon.statuspages.figures import between, lasting, percent
from ecpmon.statuspages.page import page, unknown
from ecpmon.statuspages.words import WORDS, Words

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NASTY = "<script>alert('x')</script>\"&"


def reading(standing: Standing = "down") -> Reading:
    day = Measured(0.9999996, 0.99, 0.9999996, down=600, gap=60, eligible=86_400)
    return Reading(
        "acme", NASTY, Language.EN, "Asia/Seoul", NOW, 0.999, standing,
        (Service(NASTY, "down", True), Service("chatbot", "unknown", False)),
        ((date(2026, 3, 1), day), (date(2026, 3, 2), Measured(None, None, None))), day,
        (Outage(NOW - timedelta(hours=1), None, 60.0),), 3,
        (Announced(Interval(NOW - timedelta(hours=1), NOW + timedelta(hours=1)), NASTY),),
        (ClosedPeriod("2026-02", 2, NOW),),
    )  # fmt: skip


@pytest.mark.parametrize("language", list(Language))
def test_what_people_wrote_is_text_and_nothing_is_loaded_but_a_style(language: Language) -> None:
    shown = page(reading(), language, "acme.x", public=False)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert f'lang="{language.value}"' in shown
    assert 'href="acme.x/statements/2026-02.pdf?language=' in shown
    assert 'content="noindex"' in shown
    assert 'content="noindex"' not in page(reading(), language, "acme", public=True)
    # Times are the tenant's: 09:00 UTC is 18:00 in Seoul.
    assert "2026-03-02 18:00:00" in shown
    assert "style=" not in shown + unknown(language)


@pytest.mark.parametrize("standing", ["up", "partly", "down", "unknown"])
def test_a_badge_says_its_status_in_words_and_is_well_formed(standing: Standing) -> None:
    for language in Language:
        say = Words(language)
        found = ET.fromstring(badge("가" * 60 + "<&", standing, say))
        told = "".join(found.itertext())
        assert say(standing) in told
        assert found.get("aria-label", "").endswith(say(standing))
        assert int(found.get("width", 0)) < 700


def test_figures_are_cut_and_never_promise_more() -> None:
    assert [percent(x) for x in (1.0, 0.9999996, 0.99995, 0.0, None)] == [
        "100 %", "99.999 %", "99.995 %", "0.000 %", "–",
    ]  # fmt: skip
    assert between(0.99, 0.990001) == ""
    assert between(0.9, 1.0) == "90.000 % … 100 %"
    say = Words(Language.EN)
    assert [lasting(s, say) for s in (0, 0.4, 90, 600, 10_000)] == ["–", "1 s", "90 s", "10 min", "2.8 h"]


def test_both_languages_say_the_same_with_the_same_values() -> None:
    english, korean = WORDS[Language.EN], WORDS[Language.KO]
    assert english.keys() == korean.keys()
    for word in english:
        values = [{name for _, name, _, _ in Formatter().parse(w[word]) if name} for w in (english, korean)]
        assert values[0] == values[1], word
