"""Keys and look-ups carry the tenant, or say here why they need not.

What is added without a tenant fails these tests until its reason is written down; a reason that is no longer needed
fails them as well.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecpmon.errors import NotFound
from ecpmon.model.deployments import DeploymentStatus
from ecpmon.resources import data_dir
from ecpmon.storage.database import Database
from ecpmon.storage.deployments import PgDeploymentStore
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.queries import load
from tests.integration.conftest import T0, MakeTenant

NUMBERED = "a number the database gives: nobody chooses it, and who looks it up names the tenant"
RANDOM = "made here at random: nobody chooses it, and who looks it up names the tenant"
OF_RULE = "belongs to a rule, which belongs to a tenant"
OF_OBJECTIVE = "belongs to an objective, which belongs to a tenant"
OF_SERIES = "belongs to a series, which belongs to a tenant"
OF_TOKEN = "belongs to a token, which holds tenants"
INSTALLATION = "of the installation, not of a tenant"

KEYS = {
    "alert_events_pkey": NUMBERED,
    "alert_rules_pkey": RANDOM,
    "alert_states_pkey": OF_RULE,
    "alert_states_rule_id_fkey": OF_RULE,
    "api_tokens_created_by_fkey": "who made a token may hold more tenants than the token",
    "api_tokens_pkey": NUMBERED,
    "audit_log_pkey": NUMBERED,
    "backups_pkey": INSTALLATION,
    "bus_floor_pkey": INSTALLATION,
    "bus_marks_pkey": INSTALLATION,
    "bus_pkey": "of a transaction, which may be about many tenants: its row names them",
    "collector_watermarks_pkey": "a source is pulled for all tenants at once",
    "demo_seeds_pkey": "names of tenants that a demo database began with; nobody chooses them",
    "deployments_pkey": RANDOM,
    "evidence_dirty_pkey": NUMBERED,
    "exclusion_requests_pkey": "follows from the token that asked and its key, and the tenants are those of that token",
    "external_alerts_pkey": NUMBERED,
    "imports_pkey": "a digest of what is imported, which may be of many tenants",
    "input_bounds_pkey": INSTALLATION,
    "leadership_pkey": INSTALLATION,
    "maintenance_pkey": RANDOM,
    "notification_resends_pkey": NUMBERED,
    "notifications_pkey": NUMBERED,
    "objective_current_objective_fkey": OF_OBJECTIVE,
    "objective_current_pkey": OF_OBJECTIVE,
    "objective_holes_objective_fkey": OF_OBJECTIVE,
    "objective_holes_pkey": OF_OBJECTIVE,
    "objective_hours_objective_fkey": OF_OBJECTIVE,
    "objective_hours_pkey": OF_OBJECTIVE,
    "objectives_pkey": NUMBERED,
    "operating_settings_pkey": INSTALLATION,
    "recoveries_pkey": RANDOM,
    "schema_migrations_pkey": INSTALLATION,
    "secrets_pkey": INSTALLATION,
    "series_pkey": NUMBERED,
    "statement_sendings_pkey": NUMBERED,
    "token_grants_token_fkey": OF_TOKEN,
    "token_secrets_hash_key": "a secret is found before anybody knows whose it is; 256 random bits do not meet",
    "token_secrets_pkey": NUMBERED,
    "token_secrets_present": OF_TOKEN,
    "written_names_pkey": OF_SERIES,
    "written_names_series_fkey": OF_SERIES,
    "token_secrets_token_fkey": OF_TOKEN,
}

JOB = "a job's, for every tenant"
EVERY = "for callers of every tenant; others' list has a statement of its own"
OPERATORS = "counts over all tenants, for the operators' metrics"
OWNED = "by numbers of rules, each of which must be of the tenant that is named beside it, in a function"
BY_RULE = "by numbers of rules that were read with their tenant"
CLAIMED = "by the claim of the job that goes on with it"
BY_OBJECTIVE = "by numbers of objectives that were read with their tenant"
WITHIN = "the token was found within reach of the caller by `lock`, in the same transaction"

OF_ONE = "all rows are of the tenant that it is given, to whom the event belongs"

QUERIES = {
    "acknowledgements.forget": JOB,
    "access.own_secret": INSTALLATION,
    "alert_keeping.forget_events": JOB,
    "alert_keeping.forget_external": JOB,
    "alert_keeping.forget_notifications": JOB,
    "alerts.go_on": BY_RULE,
    "alerts.move": OWNED,
    "alerts.move_at_once": OWNED,
    "alerts.record_events": OWNED,
    "alerts.last_events": "of the tenants in its list, by number",
    "alerts.tenants_with_other_objectives": JOB,
    "alerts.tenants_with_rules": JOB,
    "alerts.tenants_without_sla_rules": JOB,
    "audit.allow": JOB,
    "audit.forget": JOB,
    "audit.look": EVERY,
    "audit.told": "by numbers of rows that were found by `look` or `look_among`",
    "backups.about": INSTALLATION,
    "backups.grantees": INSTALLATION,
    "backups.last_good": INSTALLATION,
    "backups.note": INSTALLATION,
    "backups.relations": INSTALLATION,
    "backups.views": INSTALLATION,
    "bus.forget": JOB,
    "bus.mark": JOB,
    "bus.now": INSTALLATION,
    "bus.read": "what every process hears of, about every tenant",
    "bus.tell": "the numbers of the tenants of a commit",
    "crowding.crowded_since": OPERATORS,
    "crowding.forget": JOB,
    "demo_seeds.all": JOB,
    "doctor.about": INSTALLATION,
    "doctor.where": INSTALLATION,
    "demo_seeds.made": JOB,
    "deployments.durations": JOB,
    "deployments.take_over": JOB,
    "evidence_profiles.chosen": JOB,
    "faults.forget": JOB,
    "fast_windows.heads": JOB,
    "fast_windows.outlines": JOB,
    "history.numbers": NUMBERED,
    "history.turns": INSTALLATION,
    "ingest.heal_hand_made": JOB,
    "ingest.heal_timeline": JOB,
    "ingest.insert_attempts": "each row names its tenant, or none: a pull for all of them",
    "ingest.last_attempt": "whether a source was pulled at all",
    "ingest.marked": JOB,
    "ingest.newest_attempts": "how a source was pulled, for all tenants at once",
    "ingest.set_watermark": "a source is pulled for all tenants at once",
    "ingest.watermark": "a source is pulled for all tenants at once",
    "leadership.check": INSTALLATION,
    "leadership.is_led": INSTALLATION,
    "leadership.keep": INSTALLATION,
    "leadership.release": INSTALLATION,
    "maintenance.forget_requests": JOB,
    "maintenance.request": "the numbers of the tenants that a caller chose among his own",
    "maintenance.requested": "whom it chose; only those that are the caller's are looked at",
    "maintenance.withdraw_request": "a request that has laid nothing on any of its tenants",
    "monitoring.condense_attempts": JOB,
    "monitoring.drop_chunks": JOB,
    "monitoring.drop_marks": JOB,
    "monitoring.drop_spans": JOB,
    "monitoring.forget_impossible": JOB,
    "monitoring.heal_rollups": JOB,
    "monitoring.give_back": JOB,
    "monitoring.keep_bounds": INSTALLATION,
    "monitoring.make_ahead": JOB,
    "monitoring.oldest_attempt": JOB,
    "monitoring.rollups_pending": OPERATORS,
    "monitoring.dirty": JOB,
    "monitoring.rollups_turn": JOB,
    "objectives.drop_holes": JOB,
    "objectives.drop_hours": JOB,
    "objectives.drop_objectives": JOB,
    "objectives.holes": BY_OBJECTIVE,
    "objectives.store_current": BY_OBJECTIVE,
    "objectives.promised": BY_OBJECTIVE,
    "objectives.sums": BY_OBJECTIVE,
    "operating.lock": INSTALLATION,
    "operating.put": INSTALLATION,
    "operating.read": INSTALLATION,
    "operations.figures": EVERY,
    "operations.lists": EVERY,
    "outbox.forget_paces": JOB,
    "outbox.forget_troubles": JOB,
    "outbox.merged_bodies": CLAIMED,
    "outbox.put": OF_ONE,
    "outbox.queue": OPERATORS,
    "outbox.queues": JOB,
    "outbox.record_final": CLAIMED,
    "outbox.record_retry": CLAIMED,
    "quarantine.any": JOB,
    "quarantine.counts": OPERATORS,
    "quarantine.forget": JOB,
    "quarantine.held": JOB,
    "recovery.advance": CLAIMED,
    "recovery.is_due": JOB,
    "recovery.claim": JOB,
    "recovery.forget": JOB,
    "recovery.mark_restart": CLAIMED,
    "roster.changed": JOB,
    "silences.forget": JOB,
    "silences.forget_hushed": JOB,
    "silences.hush": BY_RULE,
    "silences.hushed": BY_RULE,
    "silences.note": BY_RULE,
    "silences.of_rules": BY_RULE,
    "silences.owed": JOB,
    "silences.unhush": BY_RULE,
    "slots.backlog": OPERATORS,
    "slots.carry": BY_OBJECTIVE,
    "slots.change_hour": BY_OBJECTIVE,
    "slots.count_anew": JOB,
    "slots.drop_told_holes": BY_OBJECTIVE,
    "slots.first_seen": BY_OBJECTIVE,
    "slots.heal_marks": JOB,
    "slots.hours": BY_OBJECTIVE,
    "slots.put_holes": BY_OBJECTIVE,
    "slots.put_hour": BY_OBJECTIVE,
    "slots.reach_holes": BY_OBJECTIVE,
    "slots.note_parts": BY_OBJECTIVE,
    "slots.marks_to_work_off": JOB,
    "slots.open_marks": JOB,
    "standing_alerts.ended": JOB,
    "standing_alerts.firing": JOB,
    "statement_mail.hand_over": CLAIMED,
    "statement_mail.not_taken": CLAIMED,
    "statement_mail.queues": JOB,
    "statement_mail.record_final": CLAIMED,
    "statement_mail.record_retry": CLAIMED,
    "statements.closed_months": JOB,
    "statements.looks": JOB,
    "status_pages.public_names": "names of pages that anybody may look at",
    "tenants.interval_changes": "the setting is everybody's",
    "tenants.actor": "who is at work in this transaction",
    "tenants.counts": EVERY,
    "tenants.deleted_since": JOB,
    "tenants.insert": "makes the tenant",
    "tenants.live": JOB,
    "tenants.live_after": JOB,
    "tenants.numbers": JOB,
    "tenants.tell_apart": JOB,
    "tenants.page": EVERY,
    "tokens.add_secret": WITHIN,
    "tokens.end_older_secrets": WITHIN,
    "tokens.end_present_secret": WITHIN,
    "tokens.find": "who calls, before anybody knows whose tenants are asked about",
    "tokens.forget": JOB,
    "tokens.grant": "the numbers of the tenants that the token is to hold",
    "tokens.insert": "a token holds the tenants that `grant` gives it",
    "tokens.lock": "within reach of the caller's tenants: `token_within`",
    "tokens.revoke": WITHIN,
    "tokens.set_expiry": WITHIN,
    "tokens.used": "when a token was last shown",
    "imports.begin": "of an import, which may be of many tenants",
    "imports.end": "of an import, which may be of many tenants",
    "imports.reach": "of an import, which may be of many tenants",
    "packing.heal_packing": JOB,
    "packing.last_number": JOB,
    "packing.packings_turn": JOB,
    "packing.tenants": JOB,
    "packing.writing": JOB,
    "voices.forget_heard": JOB,
}

# How a statement takes the tenants it is about.
TAKES_TENANTS = re.compile(
    r"""
      \b(?:\w+\.)?(?:tenant|tenant_id) \s*=\s* (?:ANY\s*\(\s*)? \$\d              # tenant = $1, tenant_id = ANY($1
    | \b(?:FROM|UPDATE)\s+tenants\b (?:(?!\bJOIN\b)[^;])*? \bWHERE\s+ (?:\w+\.)?id \s*=\s* (?:ANY\s*\()? \$\d
    | \$\d+::bigint\[\]\ IS\ NULL\ OR\ (?:\w+\.)?id\ =\ ANY                       # of some tenants, or of all
    | INSERT\ INTO\ \w+ (?:\ AS\ \w+)? \s*\([^)]*\btenant\b[^)]*\) \s*VALUES\b
    | INSERT\ INTO\ \w+ \s*\(tenant\b[^)]*\) \s*SELECT\ \*\ FROM\ unnest\b
    | \b(?:samples_of|newest_frames|take_frames)\s*\(\s*\$\d                     # functions, which take it first
    | \bunnest\s*\((?:[^()]|\([^()]*\))*\) \s*(?:WITH\ ORDINALITY\s*)? AS\ \w+\s*\([^)]*\btenant(?:_id)?\b
    """,
    re.VERBOSE | re.IGNORECASE,
)

KEYS_OF_THE_DATABASE = """
SELECT con.conname AS name, c.relname AS relation, con.contype IN ('f') AS is_foreign, parent.relname AS parent,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY(con.conkey)) AS columns,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = parent.oid AND attnum = ANY(con.confkey)) AS refers_to
FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid LEFT JOIN pg_class parent ON parent.oid = con.confrelid
WHERE c.relnamespace = 'public'::regnamespace AND con.contype IN ('p', 'u', 'x', 'f')
UNION ALL
SELECT i.relname, c.relname, false, NULL,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY(x.indkey)), '{}'
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND x.indisunique
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid)
"""


@dataclass(frozen=True)
class Key:
    """A primary key, unique key or index, exclusion, or foreign key (`parent` is what it refers to)."""

    name: str
    relation: str
    columns: frozenset[str]
    parent: str | None
    refers_to: frozenset[str]

    @property
    def carries_the_tenant(self) -> bool:
        if self.relation == "tenants":
            return bool(self.columns & {"id", "tenant_id"})
        return "tenant" in (self.columns if self.parent in (None, "tenants") else self.refers_to)


@pytest.fixture
async def keys(database: Database) -> list[Key]:
    rows = await database.fetch(KEYS_OF_THE_DATABASE)
    return [
        Key(r["name"], r["relation"], frozenset(r["columns"]), r["parent"], frozenset(r["refers_to"]))
        for r in rows
    ]


async def test_every_key_carries_the_tenant_or_has_a_reason(keys: list[Key]) -> None:
    assert len(keys) > 60
    without = {key.name for key in keys if not key.carries_the_tenant}
    assert without == KEYS.keys()


async def test_rows_of_a_tenant_refer_to_rows_of_the_same_tenant(keys: list[Key], database: Database) -> None:
    rows = await database.fetch(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant'"
    )
    of_tenants = {r["table_name"] for r in rows}
    crossing = [
        key.name
        for key in keys
        if key.parent in of_tenants and key.relation in of_tenants and not key.carries_the_tenant
    ]
    assert crossing == []


ADD_EVENT = """
INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, reason,
                          message)
VALUES ($1, $2, $2, 'cpu', 'page', 'threshold', 'inactive', 'firing', $3, 'test', 'said') RETURNING event_id
"""


async def test_a_notification_is_about_an_event_of_its_own_tenant(
    database: Database, make_tenant: MakeTenant
) -> None:
    alpha, beta = await make_tenant(), await make_tenant()
    put = load("outbox")["put"]
    events = {t.key: await database.fetchval(ADD_EVENT, t.key, uuid.uuid4(), T0) for t in (alpha, beta)}
    key, rule = uuid.uuid4(), uuid.uuid4()
    with pytest.raises(DatabaseRefused, match="notifications_event"):
        await database.execute(put, alpha.key, rule, events[beta.key], T0, [key], [{}], [T0], [], [])
    # And a key that one tenant has used is not used up for another.
    for tenant in (alpha, beta):
        for _ in range(2):
            await database.execute(put, tenant.key, rule, events[tenant.key], T0, [key], [{}], [T0], [], [])
    rows = await database.fetch("SELECT tenant FROM notifications WHERE idempotency_key = $1", key)
    assert sorted(r["tenant"] for r in rows) == [alpha.key, beta.key]
    await database.execute("DELETE FROM notifications WHERE idempotency_key = $1", key)


async def test_a_deployment_is_found_and_moved_on_by_its_tenant_only(
    database: Database, make_tenant: MakeTenant
) -> None:
    alpha, beta, store = await make_tenant(), await make_tenant(), PgDeploymentStore(database)
    name, failed = f"dep-{uuid.uuid4().hex[:12]}", DeploymentStatus.FAILED
    await store.request(beta, name, "demo", {}, "kim", None, T0)
    with pytest.raises(NotFound):
        await store.get(name, {alpha.key})
    assert not await store.advance(alpha.key, name, failed, "not mine", T0)
    found = await store.get(name, {alpha.key, beta.key})
    pretended = replace(found, tenant=alpha.key)
    assert await store.remember(pretended, [{"kind": "ConfigMap"}]) is None
    await store.beat(pretended, T0 + timedelta(hours=1))
    assert await store.get(name, None) == found
    assert await store.advance(beta.key, name, failed, "mine", T0)


async def test_of_a_pipelines_reports_each_tenants_newest_are_kept_and_its_first_deployment(
    database: Database, make_tenant: MakeTenant
) -> None:
    alpha, beta, store = (
        await make_tenant(),
        await make_tenant(),
        PgDeploymentStore(database, reported_kept=3),
    )
    made: dict[int, list[str]] = {alpha.key: [], beta.key: []}
    await store.request(alpha, f"dep-{uuid.uuid4().hex[:12]}", "demo", {}, "kim", None, T0)
    for tenant, count in ((beta, 2), (alpha, 7), (beta, 1)):
        for minute in range(count):
            made[tenant.key].append(f"ci-{uuid.uuid4().hex[:12]}")
            at = T0 + timedelta(minutes=minute)
            status = DeploymentStatus.COMPLETED if minute else DeploymentStatus.FAILED
            await store.record_finished(tenant, made[tenant.key][-1], "gitops", status, "told", "ci", at)
    # Of seven: the last three, and the second, which was the first to complete.
    mine = [r.deployment_id for r in await store.of_tenant(alpha, 100) if r.deployment_id.startswith("ci-")]
    assert mine == [*reversed(made[alpha.key][-3:]), made[alpha.key][1]]
    assert await store.first_completed(alpha) == T0 + timedelta(minutes=1)
    assert await store.running(alpha) is not None
    others = [r.deployment_id for r in await store.of_tenant(beta, 100)]
    assert others[:3] == made[beta.key][::-1]


def test_every_query_takes_the_tenant_or_has_a_reason() -> None:
    folder: Path = data_dir("sql") / "queries"
    queries = {
        f"{file.stem}.{name}": text for file in folder.glob("*.sql") for name, text in load(file.stem).items()
    }
    assert len(queries) > 150
    without = {name for name, text in queries.items() if not TAKES_TENANTS.search(text)}
    assert without == QUERIES.keys()


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("SELECT 1 FROM t WHERE tenant = $1", True),
        ("SELECT 1 FROM t WHERE t.tenant_id = ANY($1::text[])", True),
        ("UPDATE tenants SET name = $2 WHERE id = $1", True),
        ("INSERT INTO t (a, tenant, b) VALUES ($1, $2, $3)", True),
        ("SELECT x.a FROM unnest($1::int[], $2::bigint[]) AS x (a, tenant)", True),
        ("SELECT 1 FROM deployments WHERE deployment_id = $1", False),
        ("INSERT INTO t (fingerprint) VALUES ($1) ON CONFLICT (fingerprint) DO NOTHING", False),
        ("UPDATE alert_states SET status = $2 WHERE rule_id = $1", False),
        ("SELECT tenant FROM t JOIN tenants ON tenants.id = t.tenant WHERE t.id = $1", False),
    ],
)
def test_what_counts_as_taking_the_tenant(text: str, takes: bool) -> None:
    assert bool(TAKES_TENANTS.search(text)) is takes
