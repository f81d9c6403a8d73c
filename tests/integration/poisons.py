"""Ways in which a tenant's own rows can be past everything that reads them, and how each is mended.

All of them are rows that an older release, a restored dump or somebody with SQL may leave behind: the database's own
bounds are taken off first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ecpmon.storage.database import Database


@dataclass(frozen=True, slots=True)
class Poison:
    """Statements over `$1`, the tenant's number. `job` is where its quarantine is seen, `subject` begins how."""

    name: str
    apply: tuple[str, ...]
    cure: tuple[str, ...]
    job: str | None = None
    subject: str = ""
    readable: bool = field(default=True)


_NOW: Final = "'2026-03-02T09:00:00Z'"
_SERIES: Final = "(SELECT id FROM series WHERE tenant = $1 AND metric_name = '{}' LIMIT 1)"


def _frame(metric: str, ts: str, value: str) -> str:
    values = f"ARRAY[{_SERIES.format(metric)}], ARRAY[{value}::float8]"
    return f"INSERT INTO frames (ts, tenant, series, samples) VALUES ('{ts}', $1, {values})"


def _marks(ts: str) -> tuple[str, ...]:
    return (
        f"INSERT INTO rollup_dirty (tenant, bucket) VALUES ($1, '{ts}')",
        f"INSERT INTO evidence_dirty (tenant, ts) VALUES ($1, '{ts}')",
        "INSERT INTO objective_marks (tenant, starts, ends)"
        f" VALUES ($1, '{ts}', '{ts}'::timestamptz + INTERVAL '1 hour') ON CONFLICT DO NOTHING",
    )


POISONS: Final = (
    Poison(
        "values past every sum",
        tuple(
            _frame(metric, "2026-03-02T08:51:00Z", value)
            for metric in ("response_time", "cpu_usage")
            for value in ("1e308", "1.7e308", "'Infinity'", "'NaN'")
        ),
        ("DELETE FROM frames WHERE tenant = $1 AND ts = '2026-03-02T08:51:00Z'",),
    ),
    *(
        Poison(
            f"rows of {ts}",
            (_frame("up", ts, "0"), _frame("response_time", ts, "9"), *_marks(ts)),
            (f"DELETE FROM frames WHERE tenant = $1 AND ts = '{ts}'",),
        )
        for ts in ("20026-11-27T00:00:00Z", "0044-03-15T00:00:00Z BC", "2030-01-01T00:00:00Z")
    ),
    Poison(
        "a row of no time",
        (_frame("up", "infinity", "0"), "INSERT INTO evidence_dirty (tenant, ts) VALUES ($1, 'infinity')"),
        ("DELETE FROM frames WHERE tenant = $1 AND ts = 'infinity'",),
    ),
    *(
        Poison(
            f"a timeline that ends in {ts}",
            (
                "UPDATE availability_heads SET state = 'down',"
                f" since = '{ts}', last_observed_at = '{ts}' WHERE tenant = $1",
            ),
            ("SELECT heal_timeline($1, '2026-03-02T09:10:00Z')",),
            *more,
        )
        for ts, *more in (("20026-11-27T00:00:00Z", "hand_made"), ("2030-01-01T00:00:00Z",))
    ),
    Poison(
        "a damaged timeline",
        (
            # So that the next observation closes a span that is summed up already.
            "UPDATE availability_heads SET state = 'down' WHERE tenant = $1",
            "INSERT INTO availability_sums (tenant, starts, ends, is_down, down_before, gap_before)"
            " SELECT tenant, since, since + INTERVAL '1 microsecond', true, '0', '0'"
            " FROM availability_heads WHERE tenant = $1",
        ),
        ("DELETE FROM availability_sums WHERE tenant = $1 AND ends = starts + INTERVAL '1 microsecond'",),
        "hand_made",
    ),
    Poison(
        "an interval of a million years",
        ("UPDATE evidence_regimes SET holds = '3000000 years' WHERE tenant = $1",),
        ("UPDATE evidence_regimes SET holds = '150 s' WHERE tenant = $1",),
        "hand_made",
    ),
    Poison(
        "an objective that promises nothing",
        (
            "UPDATE objectives SET inherited = false, definition = '{\"target\": 0.5}'"
            " WHERE tenant = $1 AND name = 'latency'",
        ),
        ("DELETE FROM objectives WHERE tenant = $1",),
        "objectives",
    ),
    Poison(
        "an objective that counts nothing",
        (
            'UPDATE objectives SET inherited = false, indicator = \'{"kind": "latency", "threshold_ms": "fast"}\''
            " WHERE tenant = $1 AND name = 'latency'",
        ),
        ("DELETE FROM objectives WHERE tenant = $1",),
        "objectives",
        "2026-",
    ),
    Poison(
        "maintenance that no rule describes",
        (
            "INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, rrule, time_zone, reason,"
            f" created_by, created_at) SELECT gen_random_uuid(), $1, {_NOW}, '1 h', 'FREQ=NONSENSE', 'UTC', 'x',"
            f" 'x', {_NOW}",
        ),
        ("DELETE FROM maintenance WHERE tenant = $1",),
        "rolling_sla",
    ),
    Poison(
        "a condition that nobody can parse",
        ("UPDATE alert_rules SET condition = 'cpu_usage >' WHERE tenant = $1 AND kind = 'threshold'",),
        ("UPDATE alert_rules SET condition = 'cpu_usage > 80' WHERE tenant = $1 AND kind = 'threshold'",),
        "alerts",
        "rule ",
    ),
    Poison(
        "a rule that tells nobody",
        (
            "UPDATE alert_rules SET actions = '[{\"type\": \"pigeon\"}]' WHERE tenant = $1 AND kind = 'threshold'",
        ),
        ("UPDATE alert_rules SET actions = '[]' WHERE tenant = $1 AND kind = 'threshold'",),
    ),
    Poison(
        "a rule that waits for ever",
        (
            "UPDATE alert_states s SET held = '3000000 years' FROM alert_rules r"
            " WHERE r.rule_id = s.rule_id AND r.tenant = $1 AND r.kind = 'threshold'",
            # What is held in memory is read again when something of the tenant has changed.
            "UPDATE tenants SET updated_at = updated_at WHERE id = $1",
        ),
        (
            "UPDATE alert_states s SET held = '0' FROM alert_rules r WHERE r.rule_id = s.rule_id AND r.tenant = $1",
        ),
        "alerts",
    ),
    Poison(
        "a memory of flapping that is none",
        (
            "UPDATE alert_states s SET flaps = '{\"fired\": 7}' FROM alert_rules r"
            " WHERE r.rule_id = s.rule_id AND r.tenant = $1 AND r.kind = 'threshold'",
        ),
        (
            "UPDATE alert_states s SET flaps = NULL FROM alert_rules r WHERE r.rule_id = s.rule_id AND r.tenant = $1",
        ),
    ),
    Poison(
        "a recovery for no reason",
        (
            "INSERT INTO recoveries (recovery_id, tenant, alert_name, severity, fingerprint, alert_starts_at, state,"
            " reason, due_at, created_at, updated_at) VALUES (gen_random_uuid(), $1, 'x', 'x', 'x',"
            f" {_NOW}, 'restarting', 'moon', {_NOW}, {_NOW}, {_NOW})",
        ),
        ("DELETE FROM recoveries WHERE tenant = $1",),
    ),
    Poison(
        "a deployment with a log of another age",
        (
            "UPDATE deployments SET requested_at = created_at, heartbeat_at = '2026-03-01T00:00:00Z',"
            " logs = '[{\"at\": 1}]' WHERE tenant = $1",
        ),
        ("DELETE FROM deployments WHERE tenant = $1",),
    ),
    Poison(
        "a statement that says nothing",
        (
            "INSERT INTO statements (tenant, month, revision, closed_at, digest, document)"
            f" VALUES ($1, '2026-02', 1, {_NOW}, repeat('0', 64), '{{}}')",
        ),
        ("DELETE FROM statements WHERE tenant = $1",),
        "statements",
    ),
    Poison(
        "a series whose labels are no texts",
        (
            "INSERT INTO series (tenant, data_source, metric_type, metric_name, labels)"
            " VALUES ($1, 'push', 'sla', 'up', '{\"service\": {\"a\": [1e400]}}')",
        ),
        ("DELETE FROM series WHERE tenant = $1 AND labels <> '{}'",),
    ),
    Poison(
        "a row that is no tenant",
        ('UPDATE tenants SET service_requirements = \'{"chatbot": "ten"}\' WHERE id = $1',),
        ("UPDATE tenants SET service_requirements = '{\"chatbot\": 10}' WHERE id = $1",),
        readable=False,
    ),
    Poison(
        "a notification that nobody can read",
        (
            "WITH told AS (INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state,"
            " to_state, at, reason, message) VALUES ($1, gen_random_uuid(), gen_random_uuid(), 'x', 'x', 'x', 'x', 'x',"
            f" {_NOW}, 'x', 'x') RETURNING event_id, at)"
            " INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, action, payload, created_at,"
            " next_attempt_at) SELECT gen_random_uuid(), $1, gen_random_uuid(), event_id, '[]',"
            " '{\"n\": 1e400}', at, at FROM told",
        ),
        ("DELETE FROM notifications WHERE tenant = $1",),
    ),
)


async def take_off_the_bounds(database: Database) -> None:
    """As if the schema were older than the bounds of 0017."""
    rows = await database.fetch(
        "SELECT conrelid::regclass::text AS relation, conname FROM pg_constraint"
        " WHERE contype = 'c' AND conislocal AND (conname LIKE '%\\_readable' OR conname LIKE '%\\_values'"
        " OR conname IN ('series_labels', 'availability_spans_time'))"
        " AND conrelid::regclass::text NOT LIKE '\\_timescale%'"
    )
    for row in rows:
        await database.execute(f'ALTER TABLE {row["relation"]} DROP CONSTRAINT "{row["conname"]}"')
