"""What alpha does, each at full force: `python -m tests.acceptance.isolation.attacks NAME SECONDS` with the
address and the token in the environment. In a process of its own, so that beta's clock is not held by it.
Prints how often each status came back, and an answer of each kind, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import aiohttp
from aiohttp import web

TENANT = "alpha"
ONE = f"/api/v1/tenants/{TENANT}"


class Alpha:
    def __init__(self, url: str, token: str, seconds: float) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.until = float("inf")
        self.seconds = seconds
        self.statuses: Counter[str] = Counter()
        self.said: dict[str, str] = {}
        connector = aiohttp.TCPConnector(limit=0)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))

    @property
    def over(self) -> bool:
        return monotonic() >= self.until

    async def send(self, method: str, path: str, **given: Any) -> int:
        headers = {**self.headers, **given.pop("headers", {})}
        try:
            async with self.session.request(method, self.url + path, headers=headers, **given) as answer:
                text = await answer.read()
                self.statuses[str(answer.status)] += 1
                self.said.setdefault(
                    f"{method} {path[:60]} {answer.status}", text.decode(errors="replace")[:300]
                )
                return answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1
            return 0

    def tell(self) -> None:
        print(json.dumps({"statuses": self.statuses, "said": self.said}), flush=True)

    async def over_and_over(self, loops: int, step: Callable[[int], Awaitable[Any]]) -> None:
        """`step(n)` in so many loops at once until the time is over; it begins now."""
        self.until = monotonic() + self.seconds

        async def loop(n: int) -> None:
            while not self.over:
                await step(n)
                await asyncio.sleep(0)

        await asyncio.gather(*(loop(n) for n in range(loops)))


def _entries(count: int, metrics: dict[str, Any]) -> bytes:
    now = datetime.now(UTC)
    stamps = [(now - timedelta(seconds=n)).isoformat() for n in range(count)]
    return json.dumps([{"timestamp": at, "metrics": metrics} for at in stamps]).encode()


async def impossible_values(alpha: Alpha) -> None:
    bodies = [
        '{"metrics": {"m": 1e308}}',
        '{"metrics": {"m": NaN}}',
        '{"metrics": {"up": -1e308}}',
        '{"metrics": 5}',
    ]

    async def step(n: int) -> None:
        await alpha.send("POST", f"{ONE}/monitoring", data=bodies[n % len(bodies)])

    await alpha.over_and_over(16, step)


async def large_bodies(alpha: Alpha) -> None:
    body = _entries(10_000, {f"m{k}": 1.5 for k in range(9)})
    await alpha.over_and_over(4, lambda _: alpha.send("POST", f"{ONE}/monitoring", data=body))


async def refused_names(alpha: Alpha) -> None:
    """Half a million samples that are all refused."""
    body = _entries(32, {f"\x00{k}": 1 for k in range(14_000)})
    await alpha.over_and_over(4, lambda _: alpha.send("POST", f"{ONE}/monitoring", data=body))


async def new_names(alpha: Alpha) -> None:
    counter = iter(range(10**9))

    async def step(_: int) -> None:
        metrics = {f"name-{next(counter)}": 1 for _ in range(2_000)}
        await alpha.send("POST", f"{ONE}/monitoring", json={"metrics": metrics})

    await alpha.over_and_over(8, step)


async def small_pushes(alpha: Alpha) -> None:
    body = {"metrics": {f"m{k}": 1.5 for k in range(9)}}
    await alpha.over_and_over(128, lambda _: alpha.send("POST", f"{ONE}/monitoring", json=body))


async def bombs(alpha: Alpha) -> None:
    """Small when packed, and what is not packed at all though it says so."""
    bodies = [gzip.compress(b" " * 20_000_000), gzip.compress(b"[" + b"[" * 2_000_000), b"not packed"]

    async def step(n: int) -> None:
        await alpha.send(
            "POST",
            f"{ONE}/monitoring",
            data=bodies[n % 3],
            headers={"Content-Encoding": ["gzip", "gzip", "br"][n % 3]},
        )

    await alpha.over_and_over(12, step)


async def slow_bodies(alpha: Alpha) -> None:
    async def drip() -> Any:
        while not alpha.over:
            yield b" "
            await asyncio.sleep(0.2)

    await alpha.over_and_over(200, lambda _: alpha.send("POST", f"{ONE}/monitoring", data=drip()))


async def slow_documents(alpha: Alpha) -> None:
    """What is no push, sent as slowly."""

    async def drip() -> Any:
        while not alpha.over:
            yield b" "
            await asyncio.sleep(0.2)

    await alpha.over_and_over(40, lambda _: alpha.send("POST", f"{ONE}/alerts", data=drip()))


async def strangers(alpha: Alpha) -> None:
    """What is not alpha's."""
    await alpha.over_and_over(64, lambda _: alpha.send("GET", "/api/v1/tenants/beta/sla"))


async def flapping(alpha: Alpha) -> None:
    """A timeline of very many spans under very much maintenance, and figures over all of it."""
    now = datetime.now(UTC)
    flaps = [
        {"timestamp": (now - timedelta(seconds=20 * n)).isoformat(), "metrics": {"up": n % 2}}
        for n in range(10_000)
    ]
    for n in range(0, 10_000, 2_500):
        await alpha.send("POST", f"{ONE}/monitoring", json=flaps[n : n + 2_500])

    async def plan(n: int) -> None:
        start = now + timedelta(minutes=5 + n)
        rule = {
            "start": start.isoformat(), "duration": "30s", "rrule": "FREQ=DAILY", "reason": "planned",
        }  # fmt: skip
        await alpha.send("POST", f"{ONE}/maintenance", json=rule)

    await asyncio.gather(*(plan(n) for n in range(300)))
    paths = [
        f"{ONE}/sla?windows=1h,24h,7d,30d,90d,month,quarter", f"{ONE}/sla/timeline?window=30d&step=1h",
        f"{ONE}/incidents", f"{ONE}/sla/report?month={now:%Y-%m}&format=pdf", f"{ONE}/maintenance",
    ]  # fmt: skip
    await alpha.over_and_over(10, lambda n: alpha.send("GET", paths[n % len(paths)]))


async def guesses(alpha: Alpha) -> None:
    async def step(_: int) -> None:
        token = {"Authorization": f"Bearer ecp_{secrets.token_urlsafe(32)}"}
        await alpha.send("GET", f"{ONE}/sla", headers=token)

    await alpha.over_and_over(64, step)


async def scrapers(alpha: Alpha) -> None:
    await alpha.over_and_over(
        16, lambda n: alpha.send("GET", ["/metrics", "/ready", "/health", "/docs"][n % 4])
    )


async def readers(alpha: Alpha) -> None:
    """All that is expensive to answer."""
    yaml = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"k{n}: [*a, *a, {{b: {n}}}]\n" for n in range(20_000))
    manifest = {"tenant_id": TENANT, "manifest_content": yaml}
    month = (datetime.now(UTC) - timedelta(days=29)).isoformat()
    backtest = {"policy": "page", "step": "1m", "from": month}
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/tenants/validate-manifest", manifest),
        ("POST", f"{ONE}/alerts/test", backtest),
        ("GET", f"{ONE}/monitoring?hours=168&interval=1m", None),
        ("GET", "/api/v1/sla/summary", None),
        ("GET", "/api/v1/tenants/?limit=1000", None),
        ("GET", f"{ONE}/recommendations", None),
        ("GET", f"{ONE}/manifest", None),
    ]

    async def step(n: int) -> None:
        method, path, body = calls[n % len(calls)]
        await alpha.send(method, path, json=body)

    await alpha.over_and_over(16, step)


async def alert_storm(alpha: Alpha) -> None:
    """What an Alertmanager sends that has gone mad."""
    now = datetime.now(UTC).isoformat()
    counter = iter(range(10**9))

    async def step(n: int) -> None:
        alerts = [
            {
                "status": "firing", "startsAt": now, "fingerprint": f"{next(counter):016x}",
                "labels": {"alertname": "ECPTenantDown", "tenant_id": TENANT}, "annotations": {"summary": "x"},
            }
            for _ in range((10_000, 1_000)[n % 2])
        ]  # fmt: skip
        await alpha.send("POST", "/api/v1/webhooks/tenant-alert", json={"version": "4", "alerts": alerts})

    await alpha.over_and_over(4, step)


async def slow_receiver(alpha: Alpha) -> None:
    """Rules that flap all the time, and a receiver that never answers."""

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(alpha.seconds)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{any}", hang)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    await alpha.send("POST", f"{ONE}/monitoring", json={"metrics": {"flap": 0}})
    for n in range(50):
        actions = [{"type": "webhook", "url": f"http://127.0.0.1:{port}/{n}-{k}"} for k in range(5)]
        rule = {"alert_name": f"flap-{n}", "condition": f"flap > {n}", "actions": actions}
        await alpha.send("POST", f"{ONE}/alerts", json=rule)
    values = iter(range(10**9))
    await alpha.over_and_over(
        4,
        lambda _: alpha.send(
            "POST", f"{ONE}/monitoring", json={"metrics": {"flap": 1000 * (next(values) % 2)}}
        ),
    )
    await runner.cleanup()


async def sockets(alpha: Alpha) -> None:
    """As many as it gets, all of them listening to everything."""
    body = {"metrics": {f"m{k}": 1.5 for k in range(9)}}

    async def step(n: int) -> None:
        if n < 4:
            await alpha.send("POST", f"{ONE}/monitoring", json=body)
            return
        path = [f"/ws/monitoring/{TENANT}", f"/ws/alerts/{TENANT}"][n % 2]
        try:
            async with alpha.session.ws_connect(alpha.url + path, headers=alpha.headers) as socket:
                await socket.send_json({"action": "subscribe", "metrics": ["m1"], "interval": 100})
                alpha.statuses["101"] += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, alpha.until - monotonic())):
                        async for _ in socket:
                            pass
        except aiohttp.WSServerHandshakeError as error:
            alpha.statuses[str(error.status)] += 1
            await asyncio.sleep(0.05)
        except (aiohttp.ClientError, TimeoutError) as error:
            alpha.statuses[type(error).__name__] += 1

    await alpha.over_and_over(600, step)


async def socket_messages(alpha: Alpha) -> None:
    """Twenty sockets into which it says as much as goes through, and does not care for the answers."""
    texts = ['{"action": "ping"}', '{"action": "subscribe", "interval": 100}', "not json", "[" * 1_000]

    async def step(n: int) -> None:
        path = [f"/ws/monitoring/{TENANT}", f"/ws/alerts/{TENANT}", f"/api/v1/simulator/realtime/{TENANT}"][
            n % 3
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, alpha.until - monotonic())):
                await _flood(alpha, path, n, texts)

    flood = asyncio.create_task(alpha.over_and_over(20, step))
    # A socket that nobody reads from cannot be closed in good order: alpha just goes.
    await asyncio.wait({flood}, timeout=alpha.seconds + 1)
    alpha.tell()
    os._exit(0)


async def _flood(alpha: Alpha, path: str, n: int, texts: list[str]) -> None:
    try:
        async with alpha.session.ws_connect(alpha.url + path, headers=alpha.headers) as socket:
            alpha.statuses["101"] += 1
            while not alpha.over:
                if n % 5 == 4:
                    await socket.ping()
                else:
                    await socket.send_str(texts[n % 5])
                await asyncio.sleep(0)
    except (aiohttp.ClientError, ConnectionError) as error:
        alpha.statuses[type(error).__name__] += 1


ATTACKS: dict[str, Callable[[Alpha], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        slow_receiver, impossible_values, large_bodies, refused_names, new_names, small_pushes, bombs, slow_bodies,
        slow_documents, strangers,
        flapping, guesses,
        scrapers, readers, alert_storm, sockets, socket_messages,
    )
}  # fmt: skip


async def main(name: str, seconds: float) -> None:
    alpha = Alpha(os.environ["ATTACK_URL"], os.environ["ATTACK_TOKEN"], seconds)
    try:
        await ATTACKS[name](alpha)
    finally:
        await alpha.session.close()
    alpha.tell()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
