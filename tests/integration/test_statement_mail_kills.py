"""`kill -9` between the steps of sending a statement: it arrives, and as one message.

The service is a process of its own and the mail server a real one, which kills it at the step that the test names. That
the claim of the dead runs out is not waited for: the test lets it run out in the database.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from ecpmon.alerts.notifiers.email import SmtpServer
from ecpmon.alerts.notifiers.handing import NOT_OURS, Courier
from ecpmon.app.statement_mail import StatementMailer
from ecpmon.compute.threads import Threads
from ecpmon.model.alerts import DeliveryOutcome, DeliveryReason, Notification
from ecpmon.model.delivery import Grant
from ecpmon.model.statements import Contract
from ecpmon.model.tenants import Tenant
from ecpmon.ports.statements import Recipients
from ecpmon.settings import Settings
from ecpmon.sla.statement_document import document
from ecpmon.sla.statements import statement
from ecpmon.statements.service import StatementService
from ecpmon.statements.terms import load_terms
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.statement_mail import PgStatementMail, PgStatementOutbox
from ecpmon.storage.statements import PgStatementStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.workers import TenantWorkers, Workers
from tests.integration.conftest import T0, MakeTenant
from tests.integration.post import Post, post_office
from tests.integration.serving import serving
from tests.waiting import PATIENCE, until

WHO = "a@customer.example"
LEASE = timedelta(seconds=180)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with post_office() as post:
        yield post


@pytest.fixture
async def closed(database: Database, make_tenant: MakeTenant) -> Tenant:
    """A tenant with a recipient whose February was closed just now: nobody has sent anything."""
    await database.execute("TRUNCATE tenants CASCADE")
    tenant, now = await make_tenant(tenant_id="closed"), datetime.now(UTC)
    await PgStatementMail(database).set_recipients(tenant, Recipients((WHO,), ("month",), False, now, "kim"))
    terms = load_terms()
    contract = Contract("1", 0.995, tenant.maintenance_accounting, "UTC", terms.tiers)
    made = document(statement(tenant, "2026-02", contract, [], [], T0 + timedelta(days=30)))
    await PgStatementStore(database).close(
        tenant, "2026-02", 1, made["digest"], orjson.dumps(made), None, now - timedelta(seconds=1)
    )
    return tenant


async def row(database: Database) -> Any:
    return await database.fetchrow("SELECT * FROM statement_sendings")


@pytest.mark.parametrize(
    ("step", "given", "repeats"),
    [
        ("connected", 1, 0),  # nothing was given
        ("recipient", 1, 0),
        ("given", 1, 1),  # the server has it all, and throws it away with the connection
        ("taken", 2, 1),  # the server keeps it, and its answer finds nobody
    ],
)
async def test_who_is_killed_between_two_steps_loses_nothing_and_sends_no_second_message(
    migrated_dsn: str, free_port: Callable[[], int], database: Database, closed: Tenant, post: Post,
    step: str, given: int, repeats: int,
) -> None:  # fmt: skip
    assert (await row(database))["status"] == "pending"
    settings = {
        "ECPMON_SMTP_HOST": "127.0.0.1",
        "ECPMON_SMTP_PORT": str(post.port),
        "ECPMON_WORK_DEADLINE": str(PATIENCE),
        "ECPMON_SLA_RETENTION_DAYS": "1",  # so that its job closes no month of its own
    }
    async with serving(migrated_dsn, free_port(), **settings, is_ready=False) as first:

        async def kill(at: str) -> None:
            if at == step:
                post.step = None
                os.kill(first.process.pid, signal.SIGKILL)
                await first.process.wait()
                if step == "given":
                    post.answers = ["451 4.3.0 the connection is gone"]

        post.step = kill
        async with asyncio.timeout(PATIENCE):
            assert await first.process.wait() == -signal.SIGKILL
    dead = await row(database)
    assert (dead["status"], dead["attempts"]) == ("pending", 0)
    assert (dead["handed_at"] is not None) == (step in ("given", "taken"))
    await database.execute("UPDATE statement_sendings SET claimed_until = now() - INTERVAL '1 s'")
    # Once by a worker beside fronts, which composes in a process of its own as well.
    roles = {"ECPMON_ROLE": "supervised", "ECPMON_FRONTS": "1"} if step == "connected" else {}
    async with serving(migrated_dsn, free_port(), **settings, **roles, is_ready=False):
        await until(lambda: has(database, "sent"), "it is sent")
    sent = await row(database)
    assert (sent["repeats"], sent["handed_at"], sent["finished_at"] is not None) == (repeats, None, True)
    assert [who for who, _ in post.taken] == [WHO] * given
    # One message, whoever counts: the same id, and the same bytes.
    assert len({raw for _, raw in post.taken}) == 1
    assert {m["Message-ID"] for m in post.messages()} == {f"<{sent['message_key'].hex}@localhost>"}


async def has(database: Database, status: str) -> bool:
    return bool((await row(database))["status"] == status)


def mailer_of(
    database: Database, post: Post, clock: Any
) -> tuple[PgStatementOutbox, StatementMailer, Courier]:
    outbox, tenants = PgStatementOutbox(database), PgTenantStore(database)
    workers = TenantWorkers(Workers(Threads(as_processes=True)), "live")
    statements = StatementService(
        PgAvailabilityStore(database), PgMaintenanceStore(database), PgStatementStore(database), load_terms(),
        timedelta(days=760), workers,
    )  # fmt: skip
    courier = Courier(SmtpServer("127.0.0.1", post.port, "sla@operator.example"))
    settings = Settings(smtp_host="127.0.0.1")
    return outbox, StatementMailer(outbox, courier, tenants, statements, workers, settings, clock), courier


class Clock:
    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at


async def claimed(outbox: PgStatementOutbox, tenant: Tenant, now: datetime) -> Notification:
    [queue] = await outbox.queues(now)
    [found] = await outbox.claim([Grant(*queue.key, 10)], now, LEASE)
    assert found.tenant_key == tenant.key
    return found


async def test_who_stood_still_until_another_had_sent_it_sends_nothing(
    database: Database, closed: Tenant, post: Post
) -> None:
    clock = Clock()
    outbox, mailer, courier = mailer_of(database, post, clock)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stand_still(at: str) -> None:
        if at == "recipient" and not reached.is_set():
            reached.set()
            await go_on.wait()

    post.step = stand_still
    slow = await claimed(outbox, closed, clock.now())
    late = asyncio.create_task(mailer.deliver(slow, clock.now()))
    await reached.wait()
    assert await outbox.queues(clock.now()) == []  # it is claimed
    clock.at += LEASE
    quick = await claimed(outbox, closed, clock.now())
    result = await mailer.deliver(quick, clock.now())
    assert result.outcome is DeliveryOutcome.DELIVERED
    await outbox.record_sent(quick, clock.now(), result)
    go_on.set()
    assert (await late).error == NOT_OURS
    await outbox.record_retry(slow, clock.now(), await late)
    assert ((await row(database))["status"], (await row(database))["repeats"], len(post.taken)) == (
        "sent",
        0,
        1,
    )
    await courier.close()


async def test_what_the_server_says_it_did_not_take_is_no_repeat(
    database: Database, closed: Tenant, post: Post
) -> None:
    clock = Clock()
    outbox, mailer, courier = mailer_of(database, post, clock)
    post.answers = ["421 4.3.2 shutting down"]
    for tries, outcome in enumerate((DeliveryOutcome.RETRY, DeliveryOutcome.DELIVERED), 1):
        found = await claimed(outbox, closed, clock.now())
        result = await mailer.deliver(found, clock.now())
        assert result.outcome is outcome
        if outcome is DeliveryOutcome.RETRY:
            await outbox.record_retry(found, clock.now(), result)
        else:
            await outbox.record_sent(found, clock.now(), result)
        assert ((await row(database))["attempts"], (await row(database))["repeats"]) == (tries, 0)
    await courier.close()


async def test_recipients_made_by_hand_keep_no_month_from_being_closed(
    database: Database, closed: Tenant, post: Post
) -> None:
    strange = [None, "x", "no address", WHO, WHO.upper(), "y" * 500]
    await database.execute("UPDATE statement_recipients SET recipients = $1", strange)
    store = PgStatementStore(database)
    [first] = await store.revisions(closed, "2026-02")
    await store.close(closed, "2026-03", 1, "0" * 64, first.document, None, datetime.now(UTC))
    made = await database.fetch("SELECT recipient FROM statement_sendings WHERE month = '2026-03'")
    assert sorted(r["recipient"] for r in made) == sorted(["no address", WHO, WHO.upper()])
    outbox, mailer, courier = mailer_of(database, post, Clock())
    now = datetime.now(UTC)
    taken = await outbox.claim([Grant(*q.key, 10) for q in await outbox.queues(now)], now, LEASE)
    [odd] = [n for n in taken if n.receiver == "mailto:no address"]
    result = await mailer.deliver(odd, now)
    assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.REJECTED)
    await courier.close()


async def test_revisions_come_in_order(database: Database, closed: Tenant, post: Post) -> None:
    clock = Clock()
    outbox, _, courier = mailer_of(database, post, clock)
    await PgStatementMail(database).set_recipients(
        closed, Recipients((WHO,), ("month",), True, clock.now(), "kim")
    )
    store = PgStatementStore(database)
    [first] = await store.revisions(closed, "2026-02")
    await store.close(closed, "2026-02", 2, "0" * 64, first.document, b"{}", clock.now())
    # Somebody else was faster: no second revision of that number, and no second sending.
    await store.close(closed, "2026-02", 2, "1" * 64, first.document, b"{}", clock.now())
    assert await database.fetchval("SELECT count(*) FROM statement_sendings") == 2
    found = await claimed(outbox, closed, clock.now())
    assert found.payload["revision"] == 1
    await courier.close()
