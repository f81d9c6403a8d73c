"""Evidence profiles: what is asked of Prometheus for tenants that run software we know (`rules/profiles/*.yaml`). Pure.

A profile is a template. `$match` becomes the labels by which a tenant's series are known, `$by` their names, `$le` the
bucket of the latency threshold, `$scraped` whether its targets were scraped, and `$name` a parameter.

Invariants: what a tenant chooses never becomes more of a query than a string, a label or a metric's name; tenants that
chose the same, but for the values of their labels, share the questions; in one turn there are MOST_SETS sets of
questions at most, and who is left out is told.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ecpmon.collectors.promql import one_of, quoted, selectors
from ecpmon.collectors.questions import Question
from ecpmon.errors import ValidationFailed
from ecpmon.model.patterns import PatternError, compiled
from ecpmon.names import UP_METRIC
from ecpmon.ports.faults import counter_subject
from ecpmon.ports.profiles import PROFILE_PATTERN, Chosen, Selection
from ecpmon.ports.quarantine import Culprit
from ecpmon.resources import data_dir, yaml_of

MOST_SETS: Final = 64
# Characters of the alternatives of one label in one question.
_MOST_TEXT: Final = 4_000
_MOST_NEAREST: Final = 2
# Up when they were scraped; nothing is known when a scrape was refused, or `up` is the target's own (docs/evidence.md).
_SCRAPED: Final = "$agg by ($by) (up{$match} == 1 or 0 * (scrape_samples_scraped{$match} == 0))"
_PROBED: Final = "min by ($by) (probe_success{$match})"
_COUNTED_BY: Final = "instance"
GPU: Final = "gpu"
PROBE: Final = "probe"
# How a parameter may read.
_KINDS: Final = {
    "pattern": r".{1,200}",
    "label": r"[A-Za-z_][A-Za-z0-9_]{0,63}",
    "metric": r"[A-Za-z_:][A-Za-z0-9_:]{0,99}",
}

Name = Annotated[str, StringConstraints(pattern=PROFILE_PATTERN)]
LabelName = Annotated[str, StringConstraints(pattern=rf"^{_KINDS['label']}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Parameter(_Strict):
    """`pattern`: a regular expression, anchored as PromQL does; `label`, `metric`: a name of these."""

    about: str
    default: str | None = None
    required: bool = False
    kind: Literal["pattern", "label", "metric"] = "pattern"

    def check(self, given: str) -> str | None:
        """What is wrong with it."""
        if not re.fullmatch(_KINDS[self.kind], given):
            return f"must be a {self.kind}"
        if self.kind == "pattern":
            try:
                compiled(given)
            except PatternError as error:
                return str(error)
        return None


class Latency(_Strict):
    """`bounds` of the buckets, in `unit`, where they are known; `default`: the threshold without another."""

    of: str
    unit: Literal["s", "ms"]
    default: float
    bounds: tuple[float, ...] = ()

    def nearest(self, threshold: float) -> list[float]:
        """Bounds next to a threshold that is none; nothing when it is one, or nobody knows."""
        if not self.bounds or threshold in self.bounds:
            return []
        return sorted(sorted(self.bounds, key=lambda bound: abs(bound - threshold))[:_MOST_NEAREST])


class Gauge(_Strict):
    """`sample`: it describes an instant, and not the time since the last."""

    expression: str
    unit: str
    sample: bool = False


class Profile(_Strict):
    """One file. Without `availability` the targets' being scraped is the evidence."""

    title: str
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    availability: dict[Name, str] = Field(default_factory=lambda: {"scraped": "$scraped"})
    counters: dict[Name, str] = Field(default_factory=dict)
    # Labels beside the instance that tell series of the counters apart: what a server drops while it runs (a model that
    # is unloaded) must not make a sum fall.
    apart: tuple[LabelName, ...] = ()
    latency: Latency | None = None
    metrics: dict[Name, Gauge] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        values = {name: p.default or "x" for name, p in self.parameters.items()}
        for text in (
            *self.availability.values(),
            *self.counters.values(),
            *(g.expression for g in self.metrics.values()),
        ):
            found = _filled(text, _values(self, values, "any", None), ("job",), [("x",)])
            if "$" in found or not selectors(found):
                raise ValueError(f"cannot be asked: {text[:80]}")
        return self


@cache
def profiles() -> Mapping[str, Profile]:
    """Those that are shipped, by name. Raises ValidationFailed."""
    found: dict[str, Profile] = {}
    for path in sorted((data_dir("rules") / "profiles").glob("*.yaml")):
        try:
            found[path.stem] = Profile.model_validate(yaml_of(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, ValidationError) as error:
            raise ValidationFailed(
                f"the evidence profile {path.name} is not as it should be: {error}"
            ) from error
    return found


def problems(selection: Selection) -> list[dict[str, str]]:
    """What is wrong with a choice, field by field, as the API tells it."""
    known = {name: each for name, each in profiles().items() if name != GPU}
    profile = known.get(selection.profile)
    if profile is None:
        return [{"field": "profile", "message": f"unknown profile; known are {', '.join(known)}"}]
    found = [
        {"field": f"parameters.{name}", "message": "is no parameter of this profile"}
        for name in selection.parameters
        if name not in profile.parameters
    ]
    for name, parameter in profile.parameters.items():
        given = selection.parameters.get(name)
        missing = "is needed" if parameter.required else None
        if why := missing if given is None else parameter.check(given):
            found.append({"field": f"parameters.{name}", "message": why})
    return [*found, *_threshold_problems(profile, selection)]


def _threshold_problems(profile: Profile, selection: Selection) -> list[dict[str, str]]:
    if selection.threshold is None:
        return []
    if profile.latency is None:
        return [{"field": "threshold", "message": "this profile counts no latencies"}]
    nearest = profile.latency.nearest(selection.threshold)
    if not nearest:
        return []
    told = " and ".join(f"{bound:g} {profile.latency.unit}" for bound in nearest)
    return [{"field": "threshold", "message": f"is no bound of a bucket; the nearest are {told}"}]


def objectives_of(profile: Profile) -> list[dict[str, object]]:
    """Objectives that its counters are good for, without target, as the API takes them."""
    counted = (
        ("requests", "requests_total", "bad", "errors_total"),
        ("fast", "timed_total", "good", "fast_total"),
    )
    return [
        {"name": name, "kind": "requests", "total": {"metric": total}, of: {"metric": part}}
        for name, total, of, part in counted
        if {total, part} <= profile.counters.keys()
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions of all tenants with profiles, and what of whom is not asked."""

    questions: tuple[Question, ...]
    troubles: Mapping[Culprit, str]


def asked_of(chosen: Iterable[Chosen], seconds: float) -> Asked:
    """`seconds`: how often Prometheus is asked, and how often targets are scraped."""
    sets = _sets(chosen)
    questions: list[Question] = []
    for number, (key, owners) in enumerate(sets[:MOST_SETS]):
        questions += _questions(key, owners, seconds, number)
    left_out = {name for _, owners in sets[MOST_SETS:] for names in owners.values() for name in names}
    why = f"more than {MOST_SETS} different choices of profile and parameters: alike ones are asked together"
    return Asked(tuple(questions), {(name, "profile"): why for name in left_out})


Owners = dict[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Key:
    """What tenants have to have in common to be asked about together. `part`: of the selection."""

    part: str
    profile: str
    labels: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    instances: str = "any"
    threshold: float | None = None
    interval: float | None = None


def _sets(chosen: Iterable[Chosen]) -> list[tuple[_Key, Owners]]:
    """By what they have in common, the owners by the values of their labels; as many as one question holds."""
    found: dict[_Key, dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in chosen:
        if each.selection is not None and each.selection.profile in profiles():
            for key, match in _keys(each.selection):
                found[key][tuple(match[name] for name in key.labels)].append(each.tenant_id)
    return [
        (key, {values: tuple(dict.fromkeys(owners[values])) for values in part})
        for key, owners in sorted(found.items(), key=lambda item: str(item[0]))
        for part in _chunks(sorted(owners))
    ]


def _keys(s: Selection) -> list[tuple[_Key, Mapping[str, str]]]:
    """What is asked for a selection, each with the labels that it is about."""
    parameters = tuple(sorted(s.parameters.items()))
    own = _Key("", s.profile, tuple(sorted(s.match)), parameters, s.instances, s.threshold)
    found: list[tuple[_Key, Mapping[str, str]]] = [(own, s.match)]
    if s.probe:
        found.append((_Key(PROBE, PROBE, tuple(sorted(s.probe)), interval=s.probe_interval), s.probe))
    if s.gpu:
        found.append((_Key(GPU, GPU, tuple(sorted(s.gpu))), s.gpu))
    return found


def _chunks(identities: Sequence[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    found: list[list[tuple[str, ...]]] = [[]]
    size = 0
    for values in identities:
        size += sum(map(len, values)) + len(values)
        if size > _MOST_TEXT and found[-1]:
            found.append([])
            size = sum(map(len, values))
        found[-1].append(values)
    return found


def _questions(key: _Key, owners: Owners, seconds: float, number: int) -> list[Question]:
    """What is asked of one set: evidence first."""
    profile = profiles().get(key.profile)
    values = _values(profile, dict(key.parameters), key.instances, key.threshold)
    every = key.interval or seconds

    def of(what: str, name: str, text: str, told: str, **more: object) -> Question:
        expression = _filled(text, values, key.labels, list(owners))
        subject = f"profile {key.profile} {number}: {what}"
        return Question(subject, expression, key.labels, name, every, owners=owners, told=told, **more)  # type: ignore[arg-type]

    if key.part == PROBE:
        return [of(PROBE, UP_METRIC, _PROBED, "availability", part=PROBE)]
    if profile is None:
        return []
    found = [
        of(part, UP_METRIC, text, "availability", part=part) for part, text in profile.availability.items()
    ]
    found += [
        of(name, name, text, counter_subject(name), counter=True, labels=(_COUNTED_BY, *profile.apart))
        for name, text in profile.counters.items()
    ]
    found += [of(name, name, gauge.expression, f"metric {name}") for name, gauge in profile.metrics.items()]
    return found


def rendered(selection: Selection) -> dict[str, str]:
    """What would be asked for one tenant alone, by what it is for."""
    asked = asked_of([Chosen("", None, None, selection)], 1)
    return {q.subject.partition(": ")[2]: q.expression for q in asked.questions}


def parts_of(selection: Selection) -> frozenset[str]:
    """What all has to say that a tenant is up."""
    profile = profiles().get(selection.profile)
    own = frozenset(profile.availability) if profile else frozenset()
    return own | (frozenset({PROBE}) if selection.probe else frozenset())


def names_of(selection: Selection) -> frozenset[str]:
    """Our metrics that a selection brings, evidence aside."""
    found: set[str] = set()
    for name in (selection.profile, *([GPU] if selection.gpu else ())):
        if profile := profiles().get(name):
            found |= profile.counters.keys() | profile.metrics.keys()
    return frozenset(found)


def _values(
    profile: Profile | None, given: Mapping[str, str], instances: str, threshold: float | None
) -> dict[str, str]:
    found = {"agg": "max" if instances == "any" else "min"}
    if profile is None:
        return found
    if profile.latency:
        found["le"] = _bucket(profile.latency.default if threshold is None else threshold)
    for name, parameter in profile.parameters.items():
        value = given.get(name, parameter.default or "")
        found[name] = quoted(value) if parameter.kind == "pattern" else value
    return found


def _bucket(bound: float) -> str:
    """Servers write the bound 200 as `200` or `200.0`."""
    text = f"{bound:g}" if abs(bound) < 1e5 else f"{bound:.0f}"
    return f"le=~{quoted(one_of([text]) + ('' if '.' in text else '([.]0)?'))}"


def _filled(
    text: str, values: Mapping[str, str], labels: Sequence[str], identities: Sequence[tuple[str, ...]]
) -> str:
    text = text.replace("$scraped", _SCRAPED)
    match = ",".join(
        f"{label}=~{quoted(one_of(sorted({values[place] for values in identities})))}"
        for place, label in enumerate(labels)
    )
    known = {**values, "match": match, "by": ", ".join(labels)}
    # Once for all, so that nothing in a value is taken for a placeholder; the longest name first.
    names = "|".join(sorted(known, key=len, reverse=True))
    return re.sub(rf"\$({names})", lambda found: known[found.group(1)], text)
