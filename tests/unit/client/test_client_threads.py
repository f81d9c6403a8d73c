"""The synchronous client: any thread, forks, and who forgets to close it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from aiohttp import web
from scripted_service import Service, pushed, said

from ecpmon.client import AsyncECPClient, Conflict, ECPClient, NotDelivered, Sizes, evidence
from ecpmon.client.threads import LoopThread

FOUND = web.json_response({"tenant_id": "acme"})


def test_both_clients_can_do_the_same() -> None:
    def names(kind: type) -> set[str]:
        own = {name for name in dir(kind) if not name.startswith("_")}
        return own - {"transport"}

    of_threads = {"running", "wait_for", "subscribe_to_monitoring", "subscribe_to_alerts"}
    assert names(ECPClient) - of_threads == names(AsyncECPClient)
    for name in sorted(names(AsyncECPClient) - {"deploy"}):
        first, second = (inspect.signature(getattr(kind, name)) for kind in (ECPClient, AsyncECPClient))
        assert [*first.parameters] == [*second.parameters], name


async def test_a_request_of_one_declaration_waits_in_one_client_and_is_awaited_in_the_other(
    scripted: Service,
) -> None:
    with ECPClient(scripted.url) as waiting:
        awaited = AsyncECPClient(scripted.url)
        assert inspect.iscoroutinefunction(awaited.get_tenant)
        assert not inspect.iscoroutinefunction(waiting.get_tenant)
        for method in (waiting.get_sla, awaited.get_sla, ECPClient.get_sla):
            own = [name for name in inspect.signature(method).parameters if name != "self"]
            assert own == ["tenant_id", "windows", "at"]
            assert inspect.signature(method).return_annotation == "t.Sla"
            assert (method.__name__, method.__doc__) == ("get_sla", evidence.get_sla.__doc__)
        await awaited.close()


async def test_it_waits_for_answers_and_raises_errors(scripted: Service) -> None:
    def use() -> Any:
        with ECPClient(scripted.url) as client:
            with pytest.raises(Conflict):
                client.create_tenant({"tenant_id": "a", "name": "A", "service_requirements": {}})
            return client.get_tenant("acme")

    scripted.answers = [said(409, "TENANT_ALREADY_EXISTS"), FOUND]
    assert await asyncio.to_thread(use) == {"tenant_id": "acme"}


async def test_threads_share_a_client(scripted: Service) -> None:
    scripted.answers = [FOUND]
    with ECPClient(scripted.url) as client:
        found = await asyncio.gather(*(asyncio.to_thread(client.get_tenant, "acme") for _ in range(8)))
    assert found == [{"tenant_id": "acme"}] * 8


async def test_threads_share_a_batch(scripted: Service) -> None:
    scripted.answers = [pushed()]

    def use() -> None:
        with ECPClient(scripted.url) as client, client.batch(Sizes(entries=10, most_entries=20)) as batch:

            def add(first: int) -> None:
                for value in range(first, first + 50):
                    batch.add("acme", {"cpu": value})

            threads = [threading.Thread(target=add, args=(100 * n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    await asyncio.to_thread(use)
    sent = [e["metrics"]["cpu"] for seen in scripted.seen for e in _listed(seen.body)]
    assert sorted(sent) == sorted(100 * n + value for n in range(4) for value in range(50))


def _listed(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


async def test_what_a_batch_could_not_deliver_is_given_back(scripted: Service) -> None:
    scripted.answers = [said(403, "FORBIDDEN")]

    def use() -> None:
        with ECPClient(scripted.url) as client:
            batch = client.batch()
            batch.add("acme", {"cpu": 1})
            with pytest.raises(NotDelivered) as error:
                batch.close()
            assert error.value.entries[0].tenant_id == "acme"
            batch.close()

    await asyncio.to_thread(use)


async def test_messages_come_to_a_callback_until_it_is_closed(scripted: Service) -> None:
    async def play(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await socket.send_json({"n": 1})
        await socket.receive()

    scripted.sockets = [play]
    heard: list[Any] = []
    came = threading.Event()

    def hear(message: Any) -> None:
        heard.append(message)
        came.set()

    def use() -> None:
        with ECPClient(scripted.url) as client:
            subscription = client.subscribe_to_monitoring("acme", hear)
            assert came.wait(120)
            subscription.close()
            subscription.join(0)

    await asyncio.to_thread(use)
    assert heard == [{"n": 1}]


async def test_a_callback_that_fails_ends_its_subscription_and_is_told(scripted: Service) -> None:
    async def play(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"n": 1})
        await socket.receive()

    scripted.sockets = [play]

    def fail(_: Any) -> None:
        raise KeyError("cpu")

    def use() -> None:
        with ECPClient(scripted.url) as client, pytest.raises(KeyError):
            client.subscribe_to_alerts("acme", fail).join(120)

    await asyncio.to_thread(use)


async def test_who_forgets_to_close_it_leaves_nothing_behind(scripted: Service) -> None:
    scripted.answers = [FOUND]

    def use() -> tuple[threading.Thread, weakref.ref[ECPClient]]:
        client = ECPClient(scripted.url)
        client.get_tenant("acme")
        return client.running()[0]._thread, weakref.ref(client)

    thread, client = await asyncio.to_thread(use)
    gc.collect()
    assert client() is None
    await asyncio.to_thread(thread.join, 120)
    assert not thread.is_alive()


async def test_a_process_that_was_forked_has_connections_of_its_own(
    scripted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.answers = [FOUND]

    def use() -> None:
        with ECPClient(scripted.url) as client:
            client.get_tenant("acme")
            of_the_parent, connections = client.running()
            monkeypatch.setattr(of_the_parent, "_process", 0)  # as a child sees it, which has no such thread
            assert client.get_tenant("acme") == {"tenant_id": "acme"}
            assert client.running()[0] is not of_the_parent
            of_the_parent.stop(connections.close)

    await asyncio.to_thread(use)


def test_a_callback_of_the_loop_cannot_wait_for_it() -> None:
    loop = LoopThread()

    async def inner() -> None:
        loop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        loop.run(inner())
    loop.stop()
    with pytest.raises(RuntimeError):
        loop.run(asyncio.sleep(0))


def test_importing_the_client_imports_nothing_of_the_service() -> None:
    code = (
        "import sys, ecp_orchestrator, ecpmon.client\n"
        "assert ecp_orchestrator.ECPClient is ecpmon.client.ECPClient\n"
        "print(*(m for m in sys.modules if m.partition('.')[0] == 'ecpmon'))\n"
        "print(*({'asyncpg', 'pydantic', 'structlog', 'yaml', 'kubernetes'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, others = done.stdout.split("\n")[:2]
    assert {name for name in ours.split() if not name.startswith("ecpmon.client")} == {"ecpmon"}
    assert others == ""
