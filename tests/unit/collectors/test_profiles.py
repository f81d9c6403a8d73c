"""Profiles: what is asked for whom, how many questions that is, and what a tenant's choice cannot do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.collectors.choosing import owned, readings_of, whose
from ecpmon.collectors.profiles import GPU, MOST_SETS, asked_of, problems, profiles, rendered
from ecpmon.collectors.promql import selectors
from ecpmon.collectors.questions import Answer, Points
from ecpmon.model.samples import SeriesKey
from ecpmon.ports.profiles import Chosen, Selection

T0 = datetime(2026, 3, 1, tzinfo=UTC)
UP = SeriesKey("sla", "up")
CPU = SeriesKey("cpu", "cpu_usage")
COUNTED = SeriesKey("custom", "requests_total", (("instance", "x"),))


def chosen(name: str, begin: float = 0, end: float | None = None, **more: Any) -> Chosen:
    selection = Selection(**{"profile": "vllm", "match": {"job": name}, **more})
    until = None if end is None else T0 + timedelta(seconds=end)
    return Chosen(name, T0 + timedelta(seconds=begin), until, selection)


def test_every_profile_is_shipped_with_a_title_and_a_warning() -> None:
    assert set(profiles()) >= {
        "vllm", "ray-serve", "triton", "mosec", "bentoml", "kamailio", "rtpengine", "http", "grpc",
        "ingress-nginx", "traefik", "envoy", "blackbox", "sip-probe", GPU,
    }  # fmt: skip
    assert all(p.title and p.warnings for p in profiles().values())
    sampled = {name for p in profiles().values() for name, gauge in p.metrics.items() if gauge.sample}
    assert sampled == {"gpu_util_sampled"}


def test_tenants_of_one_profile_share_its_questions() -> None:
    few, many = (asked_of([chosen(f"job-{n}") for n in range(count)], 15) for count in (1, 300))
    assert len(many.questions) == len(few.questions)
    assert many.troubles == {}
    [first, *_] = many.questions
    assert first.tenants(("job-7",)) == ("job-7",)
    assert first.tenants(("job-7x",)) == ()


def test_what_does_not_fit_into_one_question_is_asked_in_several_and_no_tenant_is_left_out() -> None:
    names = [f"a-rather-long-name-of-a-job-{n:04}" for n in range(1000)]
    asked = asked_of([chosen(name) for name in names], 15)
    evidence = [q for q in asked.questions if q.part]
    assert sorted(name for q in evidence for owners in (q.owners or {}).values() for name in owners) == names
    assert max(len(q.expression) for q in asked.questions) < 16_000
    assert len({q.subject for q in asked.questions}) == len(asked.questions) < 100


def test_choices_that_are_all_different_are_bounded_and_who_is_left_out_is_told() -> None:
    asked = asked_of(
        [chosen(f"j{n}", parameters={"handlers": f"/v{n}/.*"}) for n in range(MOST_SETS + 5)], 15
    )
    assert len({q.subject.partition(":")[0] for q in asked.questions}) == MOST_SETS
    assert len(asked.troubles) == 5
    assert all("different" in why for why in asked.troubles.values())


HOSTILE = st.text(alphabet="ab\"\\{}()|$.*`\n'#, =~é", min_size=1, max_size=20).filter(str.strip)


@given(HOSTILE, HOSTILE)
def test_what_a_tenant_chooses_never_becomes_more_than_a_string(label: str, pattern: str) -> None:
    plain = rendered(Selection(profile="vllm", match={"job": "x"}))
    try:
        selection = Selection(profile="vllm", match={"job": label}, parameters={"handlers": pattern})
    except ValidationError:
        return
    for name, expression in rendered(selection).items():
        assert len(selectors(expression)) == len(selectors(plain[name]))
        metrics = [s.text.partition("{")[0] for s in selectors(expression)]
        assert metrics == [s.text.partition("{")[0] for s in selectors(plain[name])]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"profile": "nginx"}, "profile"),
        ({"profile": GPU}, "profile"),
        ({"threshold": 0.2}, "threshold"),
        ({"profile": "kamailio", "threshold": 0.2}, "threshold"),
        ({"parameters": {"nobody": "x"}}, "parameters.nobody"),
        ({"parameters": {"handlers": "("}}, "parameters.handlers"),
        ({"parameters": {"handlers": "(?=a)b"}}, "parameters.handlers"),
        ({"parameters": {"handlers": "(a)\\1"}}, "parameters.handlers"),
        ({"profile": "bentoml"}, "parameters.endpoints"),
        ({"profile": "http", "parameters": {"metric": 'up{a="'}}, "parameters.metric"),
        ({"profile": "http", "parameters": {"code": "a b"}}, "parameters.code"),
    ],
)
def test_a_choice_that_cannot_be_asked_is_refused_with_the_field(given: dict[str, Any], field: str) -> None:
    selection = Selection(**{"profile": "vllm", "match": {"job": "x"}, **given})
    assert [problem["field"] for problem in problems(selection)] == [field]


def test_a_threshold_that_is_no_bound_is_refused_with_the_nearest() -> None:
    [problem] = problems(Selection(profile="vllm", match={"job": "x"}, threshold=0.2))
    assert problem["message"] == "is no bound of a bucket; the nearest are 0.1 s and 0.25 s"
    fine = Selection(profile="ray-serve", match={"job": "x"}, threshold=200)
    assert problems(fine) == []
    assert 'le=~"200([.]0)?"' in rendered(fine)["fast_total"]


def answer(owner: str, key: SeriesKey, points: Points, part: str = "") -> Answer:
    return Answer(part, {(owner, key): points})


def at(seconds: float) -> float:
    return T0.timestamp() + seconds


def points(value: float, *instants: float) -> Points:
    return {at(s): (value, at(s) - 1) for s in instants}


def seen(found: Points) -> dict[float, float]:
    """Seconds after T0 at which it was measured -> value."""
    return {taken - T0.timestamp(): value for value, taken in found.values()}


def test_a_choice_holds_from_when_it_was_made_and_never_before() -> None:
    choices = [chosen("a", 100, 200), chosen("a", 200, profile="mosec")]
    first, second = (each.tenant_id for each in owned(choices))
    everywhere = (50, 150, 250)
    found = readings_of(
        [
            answer("a", UP, points(0, *everywhere)), answer("a", CPU, points(7, *everywhere)),
            answer(first, UP, points(1, *everywhere), part="scraped"),
            answer(second, UP, points(1, *everywhere), part="scraped"),
            answer(first, COUNTED, points(10, *everywhere)), answer(second, COUNTED, points(20, *everywhere)),
        ],
        choices,
    )  # fmt: skip
    assert seen(found["a", UP]) == {49: 0, 149: 1, 249: 1}
    assert seen(found["a", COUNTED]) == {149: 10, 249: 20}
    # What the profile says nothing of goes on.
    assert seen(found["a", CPU]) == {49: 7, 149: 7, 249: 7}
    assert whose({(second, "counter x"): "why"}) == {("a", "counter x"): "why"}


def test_a_tenant_is_up_when_scrape_and_probe_say_so_and_down_when_one_of_them_does() -> None:
    choices = [chosen("a", probe={"job": "blackbox"})]
    [owner] = (each.tenant_id for each in owned(choices))
    scraped = points(1, 15, 30, 45) | points(0, 60)
    probed = {at(15): (1.0, at(2)), at(30): (0.0, at(29))}
    found = readings_of(
        [answer(owner, UP, scraped, part="scraped"), answer(owner, UP, probed, part="probe")], choices
    )
    # At 45 s nobody knows what the probe says.
    assert seen(found["a", UP]) == {14: 1, 29: 0, 59: 0}
