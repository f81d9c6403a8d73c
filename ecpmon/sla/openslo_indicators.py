"""OpenSLO indicators: a ratio of counters, or a threshold on a metric. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ecpmon.model.objectives import Selector
from ecpmon.model.samples import Source
from ecpmon.sla.openslo_node import Node, name_of, refuse
from ecpmon.sla.selectors import SelectorError, read


@dataclass(slots=True)
class Measure:
    """An SLI as read: either a ratio (`roles`) or a threshold on a metric."""

    roles: dict[str, Selector]
    threshold: Selector | None
    source: Source | None
    path: str


def indicator(node: Node) -> Measure:
    """An SLI, inline or a document of its own."""
    node.get("apiVersion", str, None)
    node.get("kind", str, None)
    if node.has("metadata"):
        name_of(node.node("metadata"))
    spec = node.node("spec")
    node.done()
    if spec.get("description", str, ""):
        raise refuse(spec.at("description"), "is not supported; describe the SLO")
    if spec.has("thresholdMetric") == spec.has("ratioMetric"):
        raise refuse(spec.path, "give either thresholdMetric or ratioMetric")
    if spec.has("thresholdMetric"):
        threshold = spec.node("thresholdMetric")
        spec.done()
        selector, source = _source(threshold)
        return Measure({}, selector, source, threshold.path)
    ratio = spec.node("ratioMetric")
    spec.done()
    return _ratio(ratio)


def _ratio(ratio: Node) -> Measure:
    if ratio.get("counter", bool) is not True:
        raise refuse(ratio.at("counter"), "must be true: only counters are counted")
    roles: dict[str, Selector] = {}
    sources: set[Source | None] = set()
    for role in ("good", "bad", "total"):
        if ratio.has(role):
            roles[role], source = _source(ratio.node(role))
            sources.add(source)
    ratio.done()
    if "total" not in roles or ("good" in roles) == ("bad" in roles):
        raise refuse(ratio.path, "give total, and either good or bad")
    if len(sources) > 1:
        raise refuse(ratio.path, "all metrics must be of one source")
    return Measure(roles, None, sources.pop(), ratio.path)


def _source(metric: Node) -> tuple[Selector, Source | None]:
    source = metric.node("metricSource")
    metric.done()
    reference = source.get("metricSourceRef", str, None)
    if reference is not None and reference not in Source.__members__.values():
        raise refuse(source.at("metricSourceRef"), f"known are {', '.join(Source)}")
    if source.get("type", str, "Prometheus") != "Prometheus":
        raise refuse(source.at("type"), "must be Prometheus")
    spec = source.node("spec")
    source.done()
    query = spec.get("query", str)
    spec.done()
    try:
        return read(query), Source(reference) if reference else None
    except SelectorError as error:
        raise refuse(spec.at("query"), str(error)) from error
