"""What callers send who mean no good, or whose programs are broken."""

from __future__ import annotations

import math
from typing import Any, Final


def nested(depth: int, kind: str = "[") -> Any:
    """A document that deep."""
    document: Any = 1
    for _ in range(depth):
        document = [document] if kind == "[" else {"a": document}
    return document


TIMES: Final = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-12:00",
    "1969-12-31T23:59:59Z", "2030-01-01T00:00:00Z", "20026-11-27T00:00:00Z", "-0044-03-15T00:00:00Z",
    "2026-02-30T00:00:00Z", "2026-03-02T25:00:00Z", "2026-03-02", "2026-W10-1", "0000-00-00", "soon",
    "2026-03-02T09:00:00+99:99", "2026-03-29T02:30:00", "١٩٧٠-01-01T00:00:00Z",
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udcff\udc00", "x\ud83dy", "\u202e\u0085\u2028", "é", "한국어", "😀" * 30,
    "a" * 10_000, "%00", "%ff", "../../etc/passwd", "'; DROP TABLE tenants; --", "${jndi:x}", "{{7*7}}", "null",
    "NaN", "Infinity", "-0", "1e400", "9" * 400, "١٢٣", "٩٩.٩%", "true", "\r\nX-Evil: 1", "a;b", "a,b" * 500, "[", '"',
    "999999d", "-1s", "0s", "5x", "100%", "0%", "1e5%", "http://[::1", "http://\ud800/", "file:///etc/passwd",
    "FREQ=DAILY;UNTIL=00010101T000000Z", "FREQ=DAILY;COUNT=99999999999999999999", "FREQ=YEARLY;BYMONTHDAY=30;BYMONTH=2",
    "FREQ=DAILY;INTERVAL=0", "FREQ=SECONDLY", "RRULE:RRULE:", "9999-12", "0001-01", "2026-13", "localtime", "posix/UTC",
    "avg(" * 400, "cpu_usage > 1e999", "cpu_usage > 1 and " * 300, "(" * 2_000, "*", "sha256:", "system", "types",
)  # fmt: skip
NUMBERS: Final = (
    0, -1, 1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 99999999999999999999999, -(10**23), 10**400,
    1e308, -1e308, 1e100, 1.0000001e100, 5e-324, -0.0, math.nan, math.inf, -math.inf, 0.1, 1e15,
)  # fmt: skip
SHAPES: Final = (None, True, False, [], {}, [[]], [None], {"": ""}, {"a": {"b": {}}}, nested(60), nested(250),
                 nested(600), nested(90, "{"), ["a"] * 300)  # fmt: skip
JSON: Final[tuple[Any, ...]] = (*TIMES, *TEXTS, *NUMBERS, *SHAPES)

# Bodies that are not JSON at all, or only just.
BODIES: Final = (
    b"", b" ", b"{", b"[]", b"null", b"1", b'"x"', b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe{}", b"\xef\xbb\xbf{}",
    b'{"x": 1' + b"0" * 5_000 + b"}", b'{"x": NaN, "x": Infinity}', '{"tenant_id": "é"}'.encode("latin-1"),
    b'{"a": "\xed\xa0\x80"}', b"\x1f\x8b\x08\x00", b"\x00" * 100, "{}".encode("utf-16"), "{}".encode("utf-32-le"),
    b"tenant_id=a&name=b", b"apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: \"\\uD800\"}\nspec: {}\n",
    b"a: &a [*a]\n", b"? [1]\n: 2\n", b"!!python/object/apply:os.system [id]\n", b"a: " + b"9" * 5_000 + b"\n",
    b"a: 2026-99-99\n", b"a: .nan\nb: .inf\nc: 0x" + b"f" * 300 + b"\n", b'a: "\\0"\n',
)  # fmt: skip
HEADER_VALUES: Final = (
    b"", b"\xff\xfe", b"\xed\xa0\x80", "é".encode("latin-1"), "한".encode(), b"true", b"TRUE", b"\x80true",
    b"a" * 4_000, b"*", b'"', b'W/"x"', b",,,", b"ko;q=nan", b"ko;q=" + b"9" * 400, b"gzip, br",
    b"identity", b"zstd", b"gzip",
    b"0", b"-1", b"99999999999999999999", b"100-continue", b"Bearer ", b"Bearer \xff", b"Basic AAAA", b"%00", b"\t",
    b"application/json; charset=utf-16", b"application/json; charset=\xff", b"text/yaml", b"application/yaml",
    b"multipart/form-data; boundary=x", b"bytes=0-1", b"websocket", b"trailers", b"; =\"; ",
)  # fmt: skip
HEADER_NAMES: Final = (
    b"X-Demo-Mode", b"Authorization", b"Accept-Language", b"If-Match", b"X-Request-ID", b"Cookie", b"Content-Type",
    b"Content-Encoding", b"Accept", b"Accept-Encoding", b"X-Debug", b"Origin", b"Range", b"If-None-Match",
    b"If-Modified-Since", b"Sec-WebSocket-Protocol", b"Upgrade", b"X-Forwarded-For", b"Expect", b"TE",
)  # fmt: skip

# Of bytes that begin like a request, and are none, or only just.
LINES: Final = (
    b"GET / HTTP/1.1", b"GET /health HTTP/1.1", b"POST /api/v1/tenants/ HTTP/1.1", b"\x16\x03\x01",
    b"GET /health HTTP/2.0", b"get /health http/1.1", b"GET  /health  HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1",
    b"GET http://[::1 HTTP/1.1", b"GET //\xff HTTP/1.1", b"PRI * HTTP/2.0",
)  # fmt: skip
HEADER_LINES: Final = (
    b"Host: x", b"Host: \xff", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 5, 6", b"Expect: x",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"Expect: 100-continue", b"Sec-WebSocket-Key: x",
    b"Connection: upgrade\r\nUpgrade: websocket", b": x", b"X", b" X: y", b"X: " + b"a" * 9_000, b"X: a\x00",
    b"X: \x7f", b"Upgrade: h2c", b"Connection: close",
)  # fmt: skip
ENDS: Final = (
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"\x00" * 50, b"0\r\n\r\n",
)  # fmt: skip
# What is likely to mean something to who reads that header.
OWN_VALUES: Final = {
    b"X-Demo-Mode": (b"true", b"false", b"\xff", b"True"),
    b"Authorization": (
        b"Bearer ",
        b"Bearer \xff",
        b"Bearer ecp_" + b"x" * 43,
        b"Bearer " + b"x" * 5_000,
        b"Basic AAAA",
    ),
    b"Accept-Language": (b"ko", b"ko;q=nan", b"ko;q=\xff", b"ko-KR,en;q=0.5"),
    b"Content-Encoding": (b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"identity", b"\xff"),
    b"Content-Type": (b"application/json; charset=utf-16", b"application/json; charset=\xff", b"text/yaml"),
    b"Expect": (b"100-continue", b"100-Continue", b"x", b"\xff"),
    b"Upgrade": (b"websocket", b"h2c", b"\xff"),
    b"X-Debug": (b"true", b"\xff"),
    b"If-Match": (b"*", b'"1-1"', b"\xff", b",,,"),
}
