"""Prometheus remote write (docs/remote-write.md): what agents send, committed before it is answered.

What an agent does with an answer decides which one it gets. 400: this request will never do, and both Prometheus and
vmagent let go of it. 503 with a small `Retry-After`: the same again, soon, as for every limit. 415: another encoding or
version. 401, 403: somebody has to look, and the agent keeps what it has. Nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ecpmon.agents.bodies import take_first, take_second
from ecpmon.agents.encodings import SNAPPY, ZSTD
from ecpmon.api.agents import Delivery, partly_refused, read_encoded
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import EcpError, UnsupportedEncoding
from ecpmon.openapi.declaring import Text

routes = Routes()
_TYPE: Final = "application/x-protobuf"
_V1: Final = "prometheus.WriteRequest"
_V2: Final = "io.prometheus.write.v2.Request"
_WRITTEN: Final = "X-Prometheus-Remote-Write-{}-Written"
# Where agents send to unless they are told otherwise, and what they were told for other receivers.
PATHS: Final = (
    "/api/v1/write",
    "/api/v1/push",
    "/api/v1/receive",
    "/api/v1/prom/write",
    "/api/prom/push",
)


async def write(request: web.Request) -> web.Response:
    """Take samples by Prometheus remote write 1.0 or 2.0; the reply is sent after they are committed."""
    second = _is_second(request.headers.get("Content-Type", ""))
    body = await read_encoded(request, (SNAPPY, ZSTD))
    delivery = Delivery(request)
    if body:
        await delivery.take_apart((take_second if second else take_first)(body, delivery.arriving))
        del body
        await delivery.commit()
    arriving = delivery.arriving
    response = partly_refused(request, delivery) or web.Response(status=204)
    if second:
        for what, count in (
            ("Samples", arriving.samples - delivery.refused),
            ("Histograms", arriving.histograms - arriving.histograms_refused),
            ("Exemplars", 0),
        ):
            response.headers[_WRITTEN.format(what)] = str(count)
    return response


def _is_second(content_type: str) -> bool:
    """Whether the body is of version 2.0. Raises UnsupportedEncoding, by which a sender falls back to 1.0."""
    kind, _, more = content_type.partition(";")
    parameters = {
        name.strip().lower(): value.strip().strip('"')
        for name, _, value in (part.partition("=") for part in more.split(";"))
    }
    message = parameters.get("proto", _V1)
    if kind.strip().lower() not in ("", _TYPE) or message not in (_V1, _V2):
        raise UnsupportedEncoding(f"send {_TYPE}, with proto={_V1} or proto={_V2}")
    return message == _V2


def _declared(path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler of its own for each path, as routes are known by theirs."""

    async def handler(request: web.Request) -> web.Response:
        return await write(request)

    handler.__doc__ = write.__doc__
    handler.__name__ = (
        "write" if path == PATHS[0] else "write_at_" + path.removeprefix("/api/").replace("/", "_")
    )
    refuses: tuple[type[EcpError], ...] = (UnsupportedEncoding,)
    return routes.post(
        path,
        Permission.INGEST,
        agent=True,
        body=Text(_TYPE, binary=True, description="`prometheus.WriteRequest`, packed by snappy or zstd."),
        answers={204: None},
        refuses=refuses,
        takes=("Content-Encoding", "X-Scope-OrgID"),
    )(handler)


for _path in PATHS:
    _declared(_path)
