"""What a run of the benches says about the targets."""

from __future__ import annotations

import pytest

from bench.targets import TARGETS, Target, Verdict, judged, table

_MOST = Target("a job", "ms", "step", lambda r: float(r["ms"]), most=10)
_LEAST = Target("a job", "per second", "step", lambda r: float(r["ms"]), least=10)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [(_MOST, 10, True), (_MOST, 10.1, False), (_LEAST, 10, True), (_LEAST, 9.9, False)],
)
def test_the_bound_itself_is_met(target: Target, value: float, met: bool) -> None:
    assert Verdict(target, value).met is met


@pytest.mark.parametrize("report", [None, {"failed": "exit code 1", "seconds": 3}])
def test_nothing_is_known_of_a_step_that_failed_or_was_not_run(report: object) -> None:
    reports = {} if report is None else {target.step: report for target in TARGETS}
    verdicts = judged(reports)
    assert len(verdicts) == len(TARGETS)
    assert {(v.measured, v.met) for v in verdicts} == {(None, None)}
    assert table(verdicts).count("not measured") == len(TARGETS)


def test_a_gap_that_nothing_closed_counts_and_so_does_the_peer() -> None:
    gaps = {"longest": 5.1, "open_at_end": 7.5}
    found = judged({"collect": {"gaps": gaps, "cores": {"ecpmon": 0.1, "prometheus": 0.06}}})
    measured = {v.target.what: v for v in found if v.measured is not None}
    assert measured["longest gap, s"].met is False
    assert measured["cores of ecpmon"].met is True
    assert measured["cores of ecpmon"].peer == "Prometheus 0.06"


def test_remote_write_is_held_to_its_peers_in_rate_and_in_processor() -> None:
    def system(rate: float, cpu: float) -> dict[str, float]:
        return {"per_second": rate, "cpu_us": cpu - 1, "cpu_us_with_what_follows": cpu}

    beside = {"ecpmon": system(600, 2.0), "ecpmon, 2.0": system(450, 3.0), "VictoriaMetrics": system(500, 2.5),
              "Prometheus": system(250, 3.5)}  # fmt: skip
    report = {"500 per request": beside, "5000 per request": beside, "memory_mb_at_most": 170.0}
    told = [(v.measured, v.met) for v in judged({"remote write": report}) if v.measured is not None]
    assert told == [*[(1.2, True), (0.8, True), (2.4, False), (0.75, False)] * 2, (170.0, False)]


def test_memory_is_flat_from_the_fifth_minute_on() -> None:
    by_minute = [90.0] * 5 + [100.0] * 20 + [104.0] * 5
    report = {"memory_mb_at_most": 110.0, "memory_mb": by_minute}
    told = [v.measured for v in judged({"remote write, 30 minutes": report}) if v.measured is not None]
    assert told == [110.0, 1.04]


def test_packing_writes_to_the_log_as_well() -> None:
    report = {"ingested": {"wal": {"all": 8.0}}, "packed in": {"wal": {"all": 5.0}}, "packed": {"all": 3.9}}
    found = {v.target.what: v for v in judged({"storage": report}) if v.measured is not None}
    assert {what: (v.measured, v.met) for what, v in found.items()} == {
        "bytes a sample, packed": (3.9, True), "bytes of WAL a sample": (13.0, False)
    }  # fmt: skip


def test_of_fronts_the_worst_counts_and_the_worker_does_not() -> None:
    crowd = {
        "idle": {"all": 0.05, "database": 0.04}, "start": {"supervised_ms": [300, 200, 900]},
        "memory": {"idle": {"front-1": 80, "front-2": 95, "worker": 200}, "peak": {"front-1": 150, "worker": 300}},
        "breach": {"crowd": {"firing": {"p99": 42.0}}},
        "crowd": {"late": {"worker: alerts still_running": 2, "worker: rollups error": 5},
                  "lag_ms_at_most": {"front-1": {"p99.9": 10}, "front-2": {"p99.9": 20}, "worker": {"p99.9": 250}}},
    }  # fmt: skip
    measured = {v.target.what: v.measured for v in judged({"crowd": crowd}) if v.measured is not None}
    assert measured == {
        "jobs that were late": 2, "p99, ms": 42, "p99.9 of the lag, ms, at most": 20,
        "ms, median of fronts and worker": 300,
        "cores of all processes": 0.05, "cores of the database": 0.04, "idle, MB": 95, "at full load, MB": 150,
    }  # fmt: skip


def _push(us: float, pace: float) -> dict[str, object]:
    shapes = {"rate_of_empty": 0.4, "us_per_sample": 24.6, "p99_of_empty": 2.0,
              "empty": {"process_us": us, "per_second": 9000.0, "p99_ms": 9.0}}  # fmt: skip
    return {
        "pushes": {"128 connections": shapes},
        "batch": {"ms_of_copy": 2.0, "copy_ms": 50, "held_ms": 15},
        "pace_ms": pace,
    }


def test_times_are_also_told_at_the_pace_of_the_machine_of_the_targets() -> None:
    reports = {"push": _push(8.2, 10.0), "collect": {"gaps": {"longest": 5, "open_at_end": 0}, "pace_ms": 15.0,
                                                     "cores": {"ecpmon": 0.5, "prometheus": 0.01}}}  # fmt: skip
    told = {v.target.what: v for v in judged(reports) if v.measured is not None}
    cpu, cores = told["CPU per sample, api and database, µs"], told["cores of ecpmon"]
    assert (cpu.met, cpu.there, cpu.met_there) == (False, pytest.approx(12.3), False)
    # Half as slow again as while the empty handler was measured: three times in all.
    assert (cores.met, cores.there, cores.met_there) == (False, pytest.approx(0.5 / 3), True)
    gap, ratio = told["longest gap, s"], told["requests/s by the empty handler's"]
    assert (gap.there, ratio.there) == (gap.measured, ratio.measured)
    assert "| 0.5 | **no** | 0.1667 | yes |" in table(judged(reports))


def test_rates_grow_where_times_shrink() -> None:
    rate = Target("a job", "per second", "step", lambda r: float(r["ms"]), least=10, power=-1)
    assert Verdict(rate, 6, slower=2).there == 12
    assert Verdict(rate, 6).there is None


def test_without_an_empty_handler_nobody_knows_how_slow_the_machine_is() -> None:
    collect = {"gaps": {"longest": 5, "open_at_end": 0}, "cores": {"ecpmon": 0.5, "prometheus": 0.01}}
    told = {v.target.what: v for v in judged({"collect": collect}) if v.measured is not None}
    assert (told["cores of ecpmon"].met, told["cores of ecpmon"].met_there) == (False, None)
