"""What Prometheus is asked about single services, for right-sizing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.collectors.prometheus import assemble
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.errors import ValidationFailed
from ecpmon.names import SERVICE_METRICS
from ecpmon.simulator.exposition import exposition
from ecpmon.simulator.model.commands import put_tenant
from ecpmon.simulator.model.objects import Resources, ServiceSpec
from ecpmon.simulator.model.state import new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import MINUTE, SECOND

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_is_asked_of_the_simulator_is_what_it_exposes() -> None:
    spec = ServiceSpec("callbot", 2, Resources(500, 1024**3), 50, 8 * SECOND)
    state = step(put_tenant(new_state(7, 1_790_000_000 * SECOND), "a", [spec]), MINUTE)
    text = exposition(state).decode()
    rule = load_sli_rules().prometheus
    expressions = [rule.availability, rule.components or "", rule.age or ""]
    asked = " ".join([*expressions, *rule.metrics.values(), *rule.services.values()])
    assert set(re.findall(r"ecp_sim_\w+", asked)) <= set(re.findall(r"^(ecp_sim_\w+)", text, re.MULTILINE))
    assert set(rule.services) == set(SERVICE_METRICS)
    [cores] = re.findall(r'ecp_sim_service_pod_cpu_cores\{service="callbot",tenant_id="a"\} (\S+)', text)
    assert 0 < float(cores) <= 0.5


def test_what_services_use_becomes_series_of_the_service() -> None:
    answers = {"service_sessions.chatbot": {("a", T0): 7.0}, "up": {("a", T0): 1.0}}
    [frame] = assemble(answers, None, frozenset({"a"}), timedelta(seconds=15))
    found = {(s.key.metric_name, s.key.labels): s.value for s in frame.samples}
    assert found == {("service_sessions", (("service", "chatbot"),)): 7.0, ("up", ()): 1.0}


def test_a_metric_that_right_sizing_does_not_know_is_refused() -> None:
    text = "push: {}\nsimulator: {}\nprometheus: {availability: up, services: {service_disk: x}}"
    with pytest.raises(ValidationFailed):
        load_sli_rules(text)
