"""Only a request that every parser of HTTP would read alike is told apart without one."""

from __future__ import annotations

import re

import pytest

from ecpmon.wholes import MOST_BODY, MOST_HEAD, supported, whole

LINES = re.compile(r"POST /(\w+) HTTP/1\.1")
BODY = b'{"metrics": {"cpu": 1}}'


def piece(
    *headers: str, line: str = "POST /alpha HTTP/1.1", body: bytes = BODY, host: str = "Host: here"
) -> bytes:
    own = headers or (f"Content-Length: {len(body)}",)
    return "\r\n".join(part for part in (line, host, *own, "", "") if part or part == "").encode() + body


def test_a_request_is_told_with_what_its_line_names_its_headers_and_its_body() -> None:
    found = whole(
        piece(f"content-length: {len(BODY)}", "Authorization: Bearer a b", "Connection: Keep-Alive"),
        LINES,
        "1.2.3.4",
    )
    assert found is not None
    assert (found.place, found.body, found.remote) == ("alpha", BODY, "1.2.3.4")
    assert found.headers["AUTHORIZATION"] == "Bearer a b"
    assert found.headers.getall("Host", ()) == ["here"]
    assert found.headers.getall("X-Forwarded-For", ()) == ()


def test_a_body_may_hold_any_bytes() -> None:
    body = b"\xff\r\n\r\n\x00"
    found = whole(piece(body=body), LINES)
    assert found is not None
    assert found.body == body


def question(*headers: str, line: str = "GET /alpha HTTP/1.1", body: bytes = b"") -> bytes:
    return "\r\n".join((line, "Host: here", *headers, "", "")).encode() + body


QUESTIONS = re.compile(r"GET /(\w+)(?:\?(\w*))? HTTP/1\.1")


@pytest.mark.parametrize(
    "data", [question(), question("Content-Length: 0"), question("Sec-Fetch-Mode: cors")]
)
def test_nothing_follows_a_question_which_need_not_say_so(data: bytes) -> None:
    found = whole(data, QUESTIONS, question=True)
    assert found is not None
    assert (found.place, found.line[2], found.body) == ("alpha", None, b"")
    assert whole(data, QUESTIONS) is None or b"Length" in data


@pytest.mark.parametrize(
    "data",
    [
        question(body=b"x"), question("Content-Length: 1", body=b"x"), question("Content-Length: 1"), question()[:-1],
        question() + question(), question("Content-Length: 00000000"), question("Transfer-Encoding: chunked"),
        question(line="HEAD /alpha HTTP/1.1"), question(line="GET /alpha HTTP/1.0"),
        question(line="GET http://there/alpha HTTP/1.1"), question(line="GET /alpha?%41 HTTP/1.1"),
        question("Upgrade: x"), question("Expect: 100-continue"), question("X-Own: a"), question("Connection: close"),
    ],
)  # fmt: skip
def test_a_question_with_a_body_or_that_asks_for_something_is_no_plain_one(data: bytes) -> None:
    assert whole(data, QUESTIONS, question=True) is None


@pytest.mark.parametrize(
    "header", ["If-None-Match: a", "X-Debug: true", "Cookie: a", "Origin: http://a", "Range: a"]
)
def test_where_a_question_ends_that_asks_for_something_is_known_all_the_same(header: str) -> None:
    found, plain = (
        whole(question(header), QUESTIONS, question=True),
        whole(question(), QUESTIONS, question=True),
    )
    assert found is not None
    assert plain is not None
    assert (found.plain, plain.plain) == (False, True)


SIZE = f"Content-Length: {len(BODY)}"


@pytest.mark.parametrize(
    "data",
    [
        b"", piece()[:-1], piece() + b"x", piece() + piece(), piece()[:20], piece().replace(b"\r\n", b"\n"),
        piece(line="GET /alpha HTTP/1.1"), piece(line="POST /alpha HTTP/1.0"), piece(line="POST /alpha?x HTTP/1.1"),
        piece(line="POST  /alpha HTTP/1.1"), piece(line="\r\nPOST /alpha HTTP/1.1"),
        piece(SIZE, SIZE), piece(SIZE, "Content-Length: 3"), piece("Content-Length: +23"), piece("Content-Length: 2_3"),
        piece("Content-Length: 000000000023"), piece("Content-Length: \u0662\u0663"), piece("Content-Length:23"),
        piece("Content-Length : 23"), piece("Content-Length: 23 "), piece("Content-Length:  23"), piece("Accept: a"),
        piece(SIZE, " folded"), piece(SIZE, "Accept: a", "\tfolded"), piece(SIZE, "Accept: a\x00"),
        piece(SIZE, "Accept: a\nTransfer-Encoding: chunked"), piece(SIZE, "Accept: a\rHost: b"), piece(SIZE, ""),
        piece(SIZE, "Accept: \u00e9"), piece(SIZE, "Accept:"), piece(SIZE, "Accept"), piece(SIZE, ": a"),
        piece(SIZE, "Transfer-Encoding: chunked"), piece(SIZE, "Expect: 100-continue"), piece(SIZE, "Upgrade: x"),
        piece(SIZE, "Content-Encoding: gzip"), piece(SIZE, "Connection: close"), piece(SIZE, "Connection: upgrade"),
        piece(SIZE, "Origin: http://a"), piece(SIZE, "X-Debug: true"), piece(SIZE, "Host: there"),
        piece(SIZE, host="Accept: a"), piece(SIZE, "Accept: " + "a" * MOST_HEAD), piece(body=b"a" * (MOST_BODY + 1)),
    ],
)  # fmt: skip
def test_whatever_may_be_read_in_two_ways_or_asks_for_something_is_not(data: bytes) -> None:
    assert whole(data, LINES) is None


@pytest.mark.parametrize(
    ("version", "is_so"),
    [("3.14.5", True), ("3.14.0rc1", True), ("3.15.0", False), ("4.0.0", False), ("3.1.4", False)],
)
def test_only_the_series_of_aiohttp_that_was_tried_is_gone_past(version: str, is_so: bool) -> None:
    assert supported(version) is is_so
