"""What reaches no middleware, or escapes from one, is answered in the one error shape all the same."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ecpmon import serving
from ecpmon.serving import Runner
from tests.raw_http import request_bytes, talk
from tests.waiting import PATIENCE

GO = web.AppKey("go", asyncio.Event)


class Unwritable(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


async def broken(_: web.Request) -> web.StreamResponse:
    raise KeyError("\ud800 a bug")


async def late(_: web.Request) -> web.StreamResponse:
    raise TimeoutError


async def elsewhere(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/there")


async def teapot(_: web.Request) -> web.StreamResponse:
    raise web.HTTPForbidden(text="no\nsecond line")


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half of it")
    raise KeyError("a bug")


async def read(request: web.Request) -> web.StreamResponse:
    return web.Response(text=str(len(await request.read())))


async def late_reader(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    await request.app[GO].wait()
    await response.write(await request.read())
    return response


async def go(request: web.Request) -> web.StreamResponse:
    request.app[GO].set()
    return web.Response()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    for handler in (broken, late, elsewhere, teapot, half):
        app.router.add_get(f"/{handler.__name__}", handler)
    app[GO] = asyncio.Event()
    app.router.add_get("/go", go)
    for reader in (read, late_reader):
        app.router.add_post(f"/{reader.__name__}", reader)
    runner = Runner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        (b"/broken", 500, "INTERNAL_ERROR", "this is a fault of the server; it has been logged"),
        (b"/late", 500, "INTERNAL_ERROR", "this is a fault of the server; it has been logged"),
        (b"/teapot", 403, "HTTP_ERROR", "no"), (b"/nowhere", 404, "NOT_FOUND", "404: Not Found"),
    ],
)  # fmt: skip
async def test_an_error_that_no_middleware_took_has_the_shape(
    url: str, path: bytes, status: int, code: str, message: str
) -> None:
    answer = await talk(url, request_bytes(b"GET", path, [(b"X-Request-ID", b"mine")]))
    assert answer is not None
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["message"]) == (status, code, message)
    assert error["request_id"] == answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize(
    ("path", "expect", "said"),
    [
        (b"/broken", b"", "내부 오류가 발생했습니다."),
        (
            b"/broken",
            b"a-miracle",
            "Expect 헤더의 요구를 충족할 수 없습니다. (`Expect: 100-continue`만 지원합니다)",
        ),
    ],
)
async def test_what_reaches_no_middleware_is_told_in_korean_too(
    url: str, path: bytes, expect: bytes, said: str
) -> None:
    headers = [(b"Accept-Language", b"ko-KR,ko;q=0.9"), *([(b"Expect", expect)] if expect else [])]
    answer = await talk(url, request_bytes(b"GET", path, headers))
    assert answer is not None
    assert json.loads(answer.body)["error"]["message"] == said


async def test_a_fault_is_logged_under_its_request_id(url: str, caplog: pytest.LogCaptureFixture) -> None:
    await talk(url, request_bytes(b"GET", b"/broken", [(b"X-Request-ID", b"mine")]))
    [record] = caplog.records
    assert "mine GET /broken" in record.getMessage()
    assert record.exc_info


async def test_a_log_that_cannot_be_written_costs_no_answer(url: str) -> None:
    handler, logger = Unwritable(), logging.getLogger("ecpmon.serving")
    logger.addHandler(handler)
    try:
        answer = await talk(url, request_bytes(b"GET", b"/broken", []))
    finally:
        logger.removeHandler(handler)
    assert answer is not None
    assert answer.status == 500


async def test_a_redirection_is_none_of_our_business(url: str) -> None:
    answer = await talk(url, request_bytes(b"GET", b"/elsewhere", []))
    assert answer is not None
    assert (answer.status, answer.headers["location"]) == (302, "/there")


async def test_an_answer_that_has_begun_is_cut_off_and_not_continued_with_another(url: str) -> None:
    answer = await talk(url, request_bytes(b"GET", b"/half", []))
    assert answer is not None
    assert answer.body == b"a\r\nhalf of it\r\n"  # one chunk, and not the one that ends them


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"zz\r\n"), (b"5\r\nhello\r\n", b"zz\r\nhello\r\n"), (b"5\r\nhel", b"loXX5\r\n"),
        (b"5\r\nhello\r\n", b"f" * 20 + b"\r\n"), (b"5\r\nhello\r\n0\r\n", b"no header\r\n\r\n"),
    ],
)  # fmt: skip
async def test_a_chunked_body_that_breaks_in_its_middle_is_answered_at_once_and_once(
    url: str, first: bytes, then: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing here limits the time of a body: without the answer this would wait for ever."""
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with asyncio.timeout(PATIENCE):
        # A whole request first: the server reads what comes next in a piece of its own.
        writer.write(b"GET /teapot HTTP/1.1\r\nHost: x\r\n\r\n" + head + first)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(then)
        answers = await reader.read()
    writer.close()
    status, _, rest = answers.partition(b"HTTP/1.1 ")[2].partition(b" ")
    error = json.loads(rest.partition(b"\r\n\r\n")[2])["error"]
    assert (status, error["code"], "broken" in error["message"]) == (b"400", "BAD_REQUEST", True)
    assert not caplog.records


async def test_nonsense_behind_a_whole_body_breaks_nothing_of_its_request(url: str) -> None:
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    writer.write(b"POST /late_reader HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"begun")
        writer.write(b"NONSENSE\r\n\r\n")
        # One loop serves both: what is answered here came later.
        assert (await talk(url, request_bytes(b"GET", b"/go", []))) is not None
        answers = await reader.read()
    writer.close()
    assert b"hello" in answers
    assert b" 400 " in answers


def in_chunks(count: int) -> bytes:
    """A request whose body is so many bytes, each in a chunk."""
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"1\r\nx\r\n" * count + b"0\r\n\r\n"


async def test_a_body_in_very_many_chunks_arrives_whole_and_no_faster_than_a_tenth_of_the_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock on which taking apart what has come takes 5 ms every time."""
    readings = itertools.count()
    monkeypatch.setattr(serving, "perf_counter", lambda: next(readings) * 0.005)
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(talk(url, in_chunks(40_000)) for _ in range(2)))
    assert [answer and (answer.status, answer.body) for answer in answers] == [(200, b"40000")] * 2
    # Two bodies of 240,000 bytes on the wire do not come in fewer than four pieces.
    assert asyncio.get_running_loop().time() - began > 3 * 0.045


async def test_a_body_in_few_chunks_is_not_held(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving._Protocol, "_hold", lambda *_: pytest.fail("held"))
    answer = await talk(url, in_chunks(60))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"60")
