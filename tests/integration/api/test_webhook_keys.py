"""Keys of webhooks over the API: shown once, replaced with an overlap, a tenant's own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.alerts.signing import key_id, signed_headers
from ecpmon.errors import Conflict
from ecpmon.ports.webhook_keys import StoredKey
from tests.integration.api.conftest import NOW, Service
from tests.signatures import signed_by

BODY = b'{"a":1}'
DAY = 86_400


async def sent_now(service: Service, tenant_id: str) -> dict[str, str]:
    """The headers of a delivery of this tenant's."""
    tenant = await service.runtime.tenants.get(tenant_id)
    now = service.clock.now()
    return signed_headers(await service.runtime.webhook_keys.signing(tenant.key, now), now, BODY, "id")


async def give(service: Service, tenant_id: str, body: Any = None, *, status: int = 201) -> Any:
    path = f"/api/v1/tenants/{tenant_id}/webhook-key"
    got, answer, headers = await service.ask("POST", path, body, who="admin")
    assert got == status, answer
    assert status != 201 or headers["Cache-Control"] == "no-store"
    return answer


async def metadata(service: Service, tenant_id: str) -> Any:
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{tenant_id}/webhook-key", who="viewer")
    assert status == 200
    assert "whsec_" not in str(answer)
    return answer


async def test_the_first_key_given_is_the_one_that_has_signed_all_along(service: Service) -> None:
    tenant_id = await service.tenant()
    before, sent = await metadata(service, tenant_id), await sent_now(service, tenant_id)
    assert before["current"] == {
        "key_id": before["current"]["key_id"], "generation": 0, "created_at": None, "created_by": None,
        "signs_until": None,
    }  # fmt: skip
    given = await give(service, tenant_id)
    assert signed_by(given["secret"], sent, BODY)
    assert (given["generation"], given["overlap_until"]) == (0, None)
    assert given["key_id"] == before["current"]["key_id"]
    after = await metadata(service, tenant_id)
    assert after["current"] == {
        **before["current"],
        "created_at": "2026-03-02T09:00:00Z",
        "created_by": "admin",
    }
    assert (after["last_rotated_at"], after["overlap_until"], after["older"]) == (None, None, [])


async def test_asked_again_the_key_is_replaced_and_both_sign_until_the_overlap_ends(service: Service) -> None:
    tenant_id = await service.tenant()
    old = await give(service, tenant_id)
    service.clock.advance(60)
    new = await give(service, tenant_id, {"overlap_seconds": 3600})
    assert (new["secret"] != old["secret"], new["generation"]) == (True, 1)
    assert new["overlap_until"] == "2026-03-02T10:01:00Z"
    told = await metadata(service, tenant_id)
    assert (told["last_rotated_at"], told["overlap_until"]) == ("2026-03-02T09:01:00Z", new["overlap_until"])
    assert [k["key_id"] for k in (told["current"], *told["older"])] == [new["key_id"], old["key_id"]]
    service.clock.advance(3599)
    sent = await sent_now(service, tenant_id)
    assert signed_by(new["secret"], sent, BODY)
    assert signed_by(old["secret"], sent, BODY)
    assert sent["webhook-signature"].count("v1,") == 2
    service.clock.advance(1)
    sent = await sent_now(service, tenant_id)
    assert signed_by(new["secret"], sent, BODY)
    assert not signed_by(old["secret"], sent, BODY)
    assert (await metadata(service, tenant_id))["older"] == []


async def test_a_key_that_leaked_ends_at_once_with_all_older_ones(service: Service) -> None:
    tenant_id = await service.tenant()
    old = [await give(service, tenant_id) for _ in range(3)]
    new = await give(service, tenant_id, {"overlap_seconds": 0})
    assert new["overlap_until"] is None
    sent = await sent_now(service, tenant_id)
    assert [signed_by(k["secret"], sent, BODY) for k in (*old, new)] == [False, False, False, True]


async def test_three_keys_sign_at_most_and_a_fourth_is_refused_with_what_to_do(service: Service) -> None:
    tenant_id = await service.tenant()
    for _ in range(3):
        await give(service, tenant_id)
    refused = await give(service, tenant_id, status=409)
    assert "overlap_seconds" in refused["error"]["message"]
    service.clock.advance(DAY)
    assert (await give(service, tenant_id))["generation"] == 3


@pytest.mark.parametrize("overlap", [-1, 7 * DAY + 1, "1h", 1.5, None])
async def test_an_overlap_is_whole_seconds_up_to_a_week(service: Service, overlap: Any) -> None:
    tenant_id = await service.tenant()
    answer = await give(service, tenant_id, {"overlap_seconds": overlap}, status=422)
    assert answer["error"]["details"]["fields"][0]["field"] == "overlap_seconds"


async def test_many_at_once_get_different_keys_or_a_refusal(service: Service) -> None:
    tenant_id = await service.tenant()
    tenant = await service.runtime.tenants.get(tenant_id)
    keys = service.runtime.webhook_keys
    asked = [keys.give(tenant, f"caller-{n}", NOW, timedelta(hours=1)) for n in range(8)]
    got = await asyncio.gather(*asked, return_exceptions=True)
    given = [g for g in got if not isinstance(g, BaseException)]
    assert all(isinstance(g, Conflict) for g in got if isinstance(g, BaseException))
    assert len(await keys.signing(tenant.key, NOW)) == 3
    shown = {(k.generation, k.key_id, k.shown_to) for k in await keys.describe(tenant, NOW)}
    assert {(g.generation, g.key_id) for g in given} == {(n, key) for n, key, _ in shown}
    assert len({to for _, _, to in shown}) == 3


async def test_a_new_tenant_of_an_old_name_has_another_key(service: Service) -> None:
    tenant_id = await service.tenant()
    old = await give(service, tenant_id)
    assert (await service.ask("DELETE", f"/api/v1/tenants/{tenant_id}?force=true"))[0] in (200, 202, 204)
    await service.tenant(tenant_id=tenant_id)
    assert (await give(service, tenant_id))["secret"] != old["secret"]
    assert not signed_by(old["secret"], await sent_now(service, tenant_id), BODY)


async def test_the_record_of_former_keys_is_bounded(service: Service) -> None:
    tenant = await service.runtime.tenants.get(await service.tenant())
    keys = service.runtime.webhook_keys
    for number in range(70):
        await keys.give(tenant, "looping", NOW + timedelta(seconds=number), timedelta(0))
    rows = await service.runtime.database.fetch(
        "SELECT generation FROM webhook_keys WHERE tenant = $1 ORDER BY generation", tenant.key
    )
    assert [r["generation"] for r in rows] == list(range(19, 70))


async def test_no_key_is_in_the_database(service: Service) -> None:
    tenant = await service.runtime.tenants.get(await service.tenant())
    keys = service.runtime.webhook_keys
    await keys.give(tenant, "a", NOW, timedelta(0))
    await keys.give(tenant, "a", NOW, timedelta(0))
    [key] = await keys.signing(tenant.key, NOW)
    rows = await service.runtime.database.fetch("SELECT * FROM webhook_keys WHERE tenant = $1", tenant.key)
    assert all(key not in tuple(r) for r in rows)
    stored = [StoredKey(**{k: v for k, v in dict(r).items() if k != "tenant"}) for r in rows]
    assert key_id(key) not in str(stored)
