"""Pulls Prometheus (or any compatible store) by range queries, so that live reading and backfill are one path.

The only user of prometheus-api-client, which is synchronous: it runs in one worker thread of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from ecpmon.collectors.base import Collected, samples_of
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import STALENESS_FACTOR, Tenant
from ecpmon.names import COMPONENT_SEPARATOR, UP_METRIC
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import series_key

# Prometheus refuses more points per series in one answer.
MAX_POINTS: Final = 11_000
# An instant this fresh may still be waiting for its scrape to be stored.
SETTLING: Final = timedelta(seconds=2)
# By so many seconds a sample may be younger than the instant it was asked for.
_CLOCK_SKEW: Final = 300.0

# (tenant, instant) -> value
Values = dict[tuple[str, datetime], float]
# (tenant, instant) -> series -> value
Counters = dict[tuple[str, datetime], dict[SeriesKey, float]]


def parse(result: Any, tenant_label: str) -> Values:
    """The matrix of a range query by tenant and instant (pure). Raises MonitoringUnavailable on anything else.

    Series without the tenant label are nobody's and left out; NaN and infinities are no values.
    """
    return parse_components(result, tenant_label, None).get("", {})


def parse_components(result: Any, tenant_label: str, component_label: str | None) -> dict[str, Values]:
    """The same by component; series without that label are left out. Without a label to look for: under ""."""
    found: dict[str, Values] = defaultdict(dict)
    if not isinstance(result, list):
        raise MonitoringUnavailable("Prometheus sent no matrix")
    for series in result:
        try:
            tenant = series["metric"].get(tenant_label)
            component = series["metric"].get(component_label) if component_label else ""
            points = [
                (datetime.fromtimestamp(float(ts), UTC), float(value)) for ts, value in series["values"]
            ]
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise MonitoringUnavailable("Prometheus sent a series that is none") from error
        if tenant and component is not None:
            found[component].update({(tenant, ts): value for ts, value in points if value == value})
    return found


def parse_counter(
    result: Any, tenant_label: str, name: str, labels: Sequence[str]
) -> tuple[Counters, dict[Culprit, str]]:
    """The matrix of a counter by tenant and instant, series by series (pure). Raises MonitoringUnavailable.

    And what is wrong: two series of a tenant that cannot be told apart by `labels` would be mistaken for restarts, so
    the counter is left out for that tenant.
    """
    plain = series_key(name)
    found: Counters = defaultdict(dict)
    alike: set[str] = set()
    if not isinstance(result, list):
        raise MonitoringUnavailable("Prometheus sent no matrix")
    for series in result:
        if not isinstance(series, dict) or not isinstance(series.get("metric"), dict):
            raise MonitoringUnavailable("Prometheus sent a series that is none")
        kept = tuple(sorted((k, str(series["metric"][k])) for k in labels if k in series["metric"]))
        key = SeriesKey(plain.metric_type, plain.metric_name, kept)
        for at, value in parse([series], tenant_label).items():
            if key in found[at]:
                alike.add(at[0])
            if math.isfinite(value):
                found[at][key] = value
    why = f"the labels of the counter {name} do not tell its series apart"
    told_apart = {at: values for at, values in found.items() if at[0] not in alike}
    return told_apart, {(tenant, f"counter {name}"): why for tenant in sorted(alike)}


def with_counters(frames: Sequence[Frame], counters: Counters, wanted: frozenset[str]) -> tuple[Frame, ...]:
    """The frames with the counters of their instants, and frames for instants that only counters know (pure)."""
    left = {at: values for at, values in counters.items() if at[0] in wanted}
    found: list[Frame] = []
    for frame in frames:
        more = left.pop((frame.tenant_id, frame.ts), {})
        found.append(replace(frame, samples=(*frame.samples, *(Sample(k, v) for k, v in more.items()))))
    for (tenant, ts), values in left.items():
        if values:
            samples = tuple(Sample(k, v) for k, v in values.items())
            found.append(Frame(tenant, Source.PROMETHEUS, ts, samples))
    return tuple(sorted(found, key=lambda f: (f.ts, f.tenant_id)))


def assemble(
    answers: Mapping[str, Values], ages: Values | None, wanted: frozenset[str], interval: timedelta
) -> tuple[Frame, ...]:
    """Frames from the answers by metric name (pure).

    Availability older than the staleness limit is no evidence. Older than `interval` it is evidence of the instant
    at which it was scraped: scrapes were missed since, and it must not hold for longer than it would have.
    """
    staleness = interval * STALENESS_FACTOR
    points: dict[tuple[datetime, str], dict[str, float]] = defaultdict(dict)
    for name, values in answers.items():
        for (tenant, ts), value in values.items():
            if tenant not in wanted:
                continue
            seen = ts
            if series_key(name).metric_name == UP_METRIC:
                seconds = ages.get((tenant, ts), 0.0) if ages is not None else 0.0
                # Not as a timedelta: what a tenant's exporter says of its age may be any number.
                if not -_CLOCK_SKEW <= seconds <= staleness.total_seconds():
                    continue
                age = timedelta(seconds=seconds)
                seen = ts - _whole_millis(age) if age > interval else ts
            points[seen, tenant][name] = value
    return tuple(
        Frame(tenant, Source.PROMETHEUS, ts, samples_of(points[ts, tenant])) for ts, tenant in sorted(points)
    )


def _whole_millis(age: timedelta) -> timedelta:
    """As Prometheus keeps its timestamps: the instant of one scrape comes out the same from every answer."""
    return timedelta(milliseconds=round(age / timedelta(milliseconds=1)))


def spans_to_ask(
    watermark: datetime | None, now: datetime, interval: timedelta, oldest: timedelta
) -> list[tuple[datetime, datetime]]:
    """Aligned ranges, oldest first, each within MAX_POINTS; empty when nothing new is due (pure)."""
    step = interval.total_seconds()
    last = (now - SETTLING).timestamp() // step * step
    since = watermark.timestamp() if watermark else last - step
    since = max(since, (now - oldest).timestamp())
    first = since // step * step + step
    ranges: list[tuple[datetime, datetime]] = []
    while first <= last:
        end = min(last, first + step * (MAX_POINTS - 1))
        ranges.append((datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(end, UTC)))
        first = end + step
    return ranges


class PrometheusCollector:
    """`Collector` for Prometheus. Call `close()` at the end."""

    source = Source.PROMETHEUS

    def __init__(
        self,
        url: str,
        rule: PrometheusRule,
        interval: timedelta,
        timeout: float,
        backfill: timedelta,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.interval = interval
        self._rule = rule
        self._timeout = timeout
        self._backfill = backfill
        self._warnings: list[str] = []
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(self._note_warnings)
        self._client = PrometheusConnect(
            url=url, headers=dict(headers or {}), session=session, timeout=timeout, retry=0
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="prometheus")

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        """The oldest range that is due (the next call goes on), so that a long backfill shows progress."""
        # A clock that had run ahead left a watermark in the future; waiting for it would be blindness.
        since = min(watermark, now) if watermark else None
        ranges = spans_to_ask(since, now, self.interval, self._backfill)
        if not ranges:
            return Collected((), since or now)
        start, end = ranges[0]
        loop = asyncio.get_running_loop()
        asked = await loop.run_in_executor(self._executor, self._ask_all, start, end)
        answers, counters, troubles = asked
        ages = answers.pop("", None)
        wanted = frozenset(t.tenant_id for t in tenants)
        frames = assemble(answers, ages, wanted, self.interval)
        known = {culprit: why for culprit, why in troubles.items() if culprit[0] in wanted}
        return Collected(with_counters(frames, counters, wanted), end, known)

    def _ask_all(
        self, start: datetime, end: datetime
    ) -> tuple[dict[str, Values], Counters, dict[Culprit, str]]:
        rule = self._rule
        answers = {UP_METRIC: self._ask(rule.availability, start, end)}
        if rule.age:
            answers[""] = self._ask(rule.age, start, end)
        if rule.components:
            result = self._result(rule.components, start, end)
            for name, values in parse_components(result, rule.tenant_label, rule.component_label).items():
                answers[f"{UP_METRIC}{COMPONENT_SEPARATOR}{name}"] = values
        for name, expression in rule.metrics.items():
            answers[name] = self._ask(expression, start, end)
        for name, expression in rule.services.items():
            result = self._result(expression, start, end)
            for service, values in parse_components(result, rule.tenant_label, rule.component_label).items():
                answers[f"{name}{COMPONENT_SEPARATOR}{service}"] = values
        counters: Counters = defaultdict(dict)
        troubles: dict[Culprit, str] = {}
        for name, counter in rule.counters.items():
            result = self._result(counter.expression, start, end)
            found, wrong = parse_counter(result, rule.tenant_label, name, counter.labels)
            troubles.update(wrong)
            for at, counts in found.items():
                counters[at].update(counts)
        return answers, counters, troubles

    def _ask(self, expression: str, start: datetime, end: datetime) -> Values:
        return parse(self._result(expression, start, end), self._rule.tenant_label)

    def _result(self, expression: str, start: datetime, end: datetime) -> Any:
        self._warnings.clear()
        try:
            result = self._client.custom_query_range(
                expression, start, end, f"{self.interval.total_seconds():g}", timeout=self._timeout
            )
        except (requests.RequestException, PrometheusApiClientException, ValueError, KeyError) as error:
            raise MonitoringUnavailable(f"Prometheus does not answer: {error}") from error
        if self._warnings:
            # Partial data would falsify an SLA; better to ask again.
            raise MonitoringUnavailable(f"Prometheus warns of partial data: {'; '.join(self._warnings)}")
        return result

    def _note_warnings(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """prometheus-api-client drops `warnings`; they are read here."""
        try:
            document = response.json()
        except ValueError:
            return  # not JSON: the client reports the status
        if isinstance(document, dict):
            self._warnings.extend(map(str, document.get("warnings") or []))
