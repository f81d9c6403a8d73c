"""What Prometheus is asked about single services, for right-sizing."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from ecpmon.collectors.questions import answer_to, frames_of, questions_of, times_of
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
    asked = " ".join(part for question in questions_of(rule, 15) for part in question.parts)
    assert set(re.findall(r"ecp_sim_\w+", asked)) <= set(re.findall(r"^(ecp_sim_\w+)", text, re.MULTILINE))
    assert set(rule.services) == set(SERVICE_METRICS)
    [cores] = re.findall(r'ecp_sim_service_pod_cpu_cores\{service="callbot",tenant_id="a"\} (\S+)', text)
    assert 0 < float(cores) <= 0.5


def test_what_services_use_becomes_series_of_the_service() -> None:
    rule = load_sli_rules().prometheus
    [asked] = [q for q in questions_of(rule, 15) if q.subject == "service service_sessions"]
    labels = {"tenant_id": "a", "service": "chatbot"}
    times = times_of([{"metric": labels, "values": [[T0.timestamp(), str(T0.timestamp())]]}], asked.fine)
    answer = answer_to(asked, [{"metric": labels, "values": [[T0.timestamp(), "7"]]}], [times])
    [frame] = frames_of([answer.readings], frozenset({"a"}))
    found = {(s.key.metric_name, s.key.labels): s.value for s in frame.samples}
    assert found == {("service_sessions", (("service", "chatbot"),)): 7.0}


def test_a_metric_that_right_sizing_does_not_know_is_refused() -> None:
    text = "push: {}\nsimulator: {}\nprometheus: {availability: up, services: {service_disk: x}}"
    with pytest.raises(ValidationFailed):
        load_sli_rules(text)
