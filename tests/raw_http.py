"""HTTP by hand, for requests that no client would send: any bytes in, status, headers and body out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def request_bytes(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> bytes:
    """A request as it stands on the wire; `Host` and `Content-Length` are added, `Connection: close` too."""
    head = [method + b" " + target + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
    head += [name + b": " + value for name, value in headers]
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def talk(url: str, sent: bytes, *, limit: float = 30.0) -> Answer | None:
    """Send bytes, read one answer; None when the server hangs up without one."""
    parts = urlsplit(url)
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
        try:
            writer.write(sent)
            await writer.drain()
            return await _answer(reader)
        except ConnectionError:
            return None
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer | None:
    begun = await reader.read(1)
    if not begun:
        return None
    head = begun + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    status = int(first.split(" ")[1])
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if status == 101 or status == 204:
        return Answer(status, headers, b"")
    length = headers.get("content-length")
    body = await (reader.read() if length is None else reader.readexactly(int(length)))
    return Answer(status, headers, body)
