"""What senders do with bodies: encodings, sizes, slowness."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from fakes import World, ask, error_of, make_app

from ecpmon.api import bodies, pushing
from ecpmon.api.limits import LIMITS
from ecpmon.model.ingest import SAMPLES_PER_ENTRY
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from tests.waiting import PATIENCE

URL = "/api/v1/tenants/acme/monitoring"
BODY = json.dumps({"metrics": {"cpu": 1, "queue": 2}}).encode()
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(BODY) + RAW.flush()


@pytest.fixture
def world() -> World:
    made = World(settings=Settings(max_body_bytes=100_000, body_seconds=0.2))
    made.tenants.add("acme")
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([pushing], world))


async def push(client: Any, body: bytes, encoding: str | None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": encoding} if encoding else {})
    async with client.post(URL, data=body, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (None, BODY), ("identity", BODY), ("gzip", gzip.compress(BODY)), ("GZip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)), ("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
        ("deflate", zlib.compress(BODY)), ("deflate", DEFLATED), ("identity, gzip", gzip.compress(BODY)),
    ],
)  # fmt: skip
async def test_a_body_may_be_compressed(client: Any, encoding: str | None, body: bytes) -> None:
    status, answer = await push(client, body, encoding)
    assert (status, answer["accepted"]) == (202, 2)


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code", "words"),
    [
        ("gzip", BODY, 400, "BAD_REQUEST", "not gzip"), ("deflate", BODY, 400, "BAD_REQUEST", "not deflate"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "BAD_REQUEST", "cut short"),
        ("gzip", b"", 400, "BAD_REQUEST", "cut short"),
        ("gzip", gzip.compress(BODY) + b"more", 400, "BAD_REQUEST", "not gzip"),
        ("deflate", zlib.compress(BODY)[:-5], 400, "BAD_REQUEST", "cut short"),
        ("br", b"\x8b\x02\x80ok\x03", 415, "UNSUPPORTED_MEDIA_TYPE", "gzip, deflate"),
        ("zstd", b"(\xb5/\xfd", 415, "UNSUPPORTED_MEDIA_TYPE", "gzip, deflate"),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 415, "UNSUPPORTED_MEDIA_TYPE", "gzip, deflate"),
        ("gzip", gzip.compress(b"") * 1_001, 400, "BAD_REQUEST", "more than 1000 files of gzip"),
        ("gzip", gzip.compress(b" " * 200_000 + BODY), 413, "PAYLOAD_TOO_LARGE", "100000 bytes"),
        (None, b" " * 200_000, 413, "PAYLOAD_TOO_LARGE", "100000 bytes"),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_what_it_says_gets_a_clear_answer(
    client: Any, world: World, encoding: str | None, body: bytes, status: int, code: str, words: str
) -> None:
    error = error_of(status, (await push(client, body, encoding))[1])
    assert (error["code"], words in error["message"]) == (code, True), error
    assert not world.samples.batches


async def test_a_body_of_unknown_length_is_stopped_at_the_limit(client: Any, world: World) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 10_000

    async with client.post(URL, data=endless()) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert client.app[LIMITS].memory.held == 0


async def test_a_body_that_does_not_arrive_is_cut_off(client: Any, world: World) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n{{".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 408 " in answer.splitlines()[0]
    body = await reader.read()  # the connection is closed after the answer
    assert json.loads(body)["error"]["code"] == "REQUEST_TIMEOUT"
    writer.close()


async def test_a_chunked_body_that_breaks_does_not_wait_for_its_time_to_be_up(
    world: World, free_port: Callable[[], int]
) -> None:
    world.settings = Settings(body_seconds=PATIENCE * 10)
    runner, port = Runner(make_app([pushing], world), access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST {URL} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"\r\n\r\n")  # the body is being read
            writer.write(b'5\r\n{"met\r\nno size\r\n')
            answer = await reader.read()
        error = error_of(400, json.loads(answer.partition(b"\r\n\r\n")[2]))
        assert (answer.split(b" ")[1], error["code"]) == (b"400", "BAD_REQUEST")
        assert "broken" in error["message"]
    finally:
        writer.close()
        await runner.cleanup()
    assert not world.samples.batches


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 50\r\n\r\n{", b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"met\r\n']
)
async def test_a_sender_that_goes_away_commits_nothing(client: Any, world: World, rest: bytes) -> None:
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"POST {URL} HTTP/1.1\r\nHost: x\r\n".encode() + rest)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    status, _ = await ask(client, "POST", URL, {"metrics": {"cpu": 1}})
    assert (status, len(world.samples.batches)) == (202, 1)


async def test_a_large_request_is_committed_in_parts_and_answered_after_the_last(
    client: Any, world: World
) -> None:
    world.samples.part = 20 * (100 + SAMPLES_PER_ENTRY)
    entries = [
        {"metrics": {f"m{n}": 1 for n in range(100)}, "timestamp": f"2026-03-02T08:{m:02}:00Z"}
        for m in range(60)
    ]
    status, answer = await push(client, gzip.compress(json.dumps(entries).encode()), "gzip")
    assert (status, answer["accepted"]) == (202, 6_000)
    assert [sum(f.size for f in b.frames) for b in world.samples.batches] == [2_000, 2_000, 2_000]


async def test_refusals_are_counted_all_and_named_twenty(client: Any, world: World) -> None:
    many = {"metrics": {f"m{n}": "text" for n in range(500)} | {"cpu": 1}}
    status, answer = await ask(client, "POST", URL, many)
    assert (status, answer["accepted"], answer["rejected_count"]) == (202, 1, 500)
    named = [(each["metric"], each["reason"]) for each in answer["rejected"]]
    assert named == [(f"m{n}", "not_a_number") for n in range(20)]


async def test_what_unpacks_to_nothing_counts_as_it_was_sent(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(bodies, "_count", lambda _, size: counted.append(size))
    body = gzip.compress(b"") * 900 + gzip.compress(BODY)
    assert (await push(client, body, "gzip"))[0] == 202
    assert len(body) <= sum(counted) <= len(body) + len(BODY)


async def test_a_body_that_drips_is_looked_at_now_and_then(
    aiohttp_client: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(bodies, "rest", rest)

    async def pieces(count: int, size: int) -> Any:
        for _ in range(count):
            yield b" " * size
            await asyncio.sleep(0.001)
        yield BODY

    async def drip() -> Any:
        while not rests:
            yield b" "
            await asyncio.sleep(0.001)
        yield BODY

    world.settings = Settings(body_seconds=PATIENCE)
    client = await aiohttp_client(make_app([pushing], world))
    for body in (pieces(bodies.FREE_PIECES - 1, 1), pieces(3 * bodies.FREE_PIECES, bodies.PIECE)):
        async with client.post(URL, data=body) as answer:
            assert (answer.status, rests) == (202, [])
    async with client.post(URL, data=drip()) as answer:
        assert answer.status == 202
    assert all(0.1 < seconds < 0.4 for seconds in rests)


async def test_an_entry_of_very_many_metrics_is_several_frames_of_its_instant(
    client: Any, world: World
) -> None:
    metrics = {f"m{n}": n for n in range(598)} | {"error_rate": 0, "up": 1}
    status, answer = await ask(client, "POST", URL, {"metrics": metrics})
    frames = [frame for batch in world.samples.batches for frame in batch.frames]
    assert (status, answer["accepted"], sorted(f.size for f in frames)) == (202, 600, [100, 250, 250])
    assert len({f.ts for f in frames}) == 1
    assert {"up", "error_rate"} <= {sample.key.metric_name for sample in frames[0].samples}
