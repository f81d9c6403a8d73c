"""Answers that do not change while a process lives: packed once, and not sent to who has them already."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Kept:
    plain: bytes
    zipped: bytes
    etag: str

    @classmethod
    def of(cls, plain: bytes, zipped: bytes | None = None) -> Kept:
        """`zipped`: the same as gzip, where it is there already. Large ones take milliseconds: not on an event loop."""
        if zipped is None:
            packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            zipped = packer.compress(plain) + packer.flush()
        return cls(plain, zipped, f'"{hashlib.sha256(plain).hexdigest()[:16]}"')

    def answer(self, request: web.Request, content_type: str, headers: Mapping[str, str]) -> web.Response:
        """All of it, as gzip for who takes that; 304 for who names its `ETag`."""
        told = {**headers, "ETag": self.etag, "Vary": "Accept-Encoding"}
        wanted = request.headers.get("If-None-Match", "")
        if self.etag in [tag.strip().removeprefix("W/") for tag in wanted.split(",")]:
            return web.Response(status=304, headers=told)
        body = self.plain
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, told["Content-Encoding"] = self.zipped, "gzip"
        return web.Response(body=body, headers=told, content_type=content_type)
