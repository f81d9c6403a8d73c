"""OTLP metrics over HTTP (docs/remote-write.md): what OpenTelemetry's exporters and Collectors send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson
from aiohttp import web

from ecpmon.agents.otlp import Metric, metrics_in, metrics_of
from ecpmon.agents.otlp_taking import take_metrics
from ecpmon.agents.protobuf import encoded_field, encoded_varint
from ecpmon.agents.totals import Adding, Totals
from ecpmon.api.agents import Delivery, refused_text
from ecpmon.api.bodies import read_body
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import BadRequest, UnsupportedEncoding
from ecpmon.openapi.declaring import Json, Text, TypedDict

routes = Routes()
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
TOTALS: Final = web.AppKey("totals", Totals)


class PartialSuccess(TypedDict):
    """`rejectedDataPoints`: a whole number as text, as JSON of protobuf has it."""

    rejectedDataPoints: str
    errorMessage: str


class OtlpAnswer(TypedDict, total=False):
    """Empty: all was taken."""

    partialSuccess: PartialSuccess


class OtlpRequest(TypedDict):
    """`ExportMetricsServiceRequest` in JSON."""

    resourceMetrics: list[object]


@routes.post(
    "/v1/metrics",
    Permission.INGEST,
    agent=True,
    body=(
        Text(PROTOBUF, binary=True, description="`ExportMetricsServiceRequest`."),
        Json(OtlpRequest, example={"resourceMetrics": []}),
    ),
    answers={200: (Json(OtlpAnswer, example={}), Text(PROTOBUF, binary=True))},
    refuses=(UnsupportedEncoding,),
    takes=("Content-Encoding", "X-Scope-OrgID"),
)
async def metrics(request: web.Request) -> web.Response:
    """Take metrics by OTLP, protobuf or JSON; the reply is sent after they are committed."""
    kind = request.headers.get("Content-Type", PROTOBUF).partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise UnsupportedEncoding(f"send {PROTOBUF} or {JSON}")
    body = await read_body(request)
    delivery, adding = Delivery(request), Adding(request.app[TOTALS])
    front = request.app[CONTEXT].settings.front
    read = _read(body, kind, delivery.arriving.tenant_label)
    await delivery.take_apart(take_metrics(read, delivery.arriving, adding, front))
    await delivery.commit()
    adding.commit()
    return _answer(delivery, kind)


def _read(body: bytes, kind: str, tenant_label: str) -> Iterator[Metric]:
    """Raises BadRequest: it is no JSON."""
    if kind == PROTOBUF:
        return metrics_in(body, tenant_label)
    try:
        return metrics_of(orjson.loads(body) if body else {}, tenant_label)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def _answer(delivery: Delivery, kind: str) -> web.Response:
    """What was refused is told with a success: whoever is told so sends the rest of it never again."""
    refused = delivery.arriving.refused
    text = refused_text(delivery) if refused else ""
    if kind == JSON:
        told = (
            {"partialSuccess": {"rejectedDataPoints": str(refused), "errorMessage": text}} if refused else {}
        )
        return web.Response(body=orjson.dumps(told), content_type=JSON)
    partial = b"\x08" + encoded_varint(refused) + encoded_field(2, text.encode()) if refused else b""
    return web.Response(body=encoded_field(1, partial) if refused else b"", content_type=PROTOBUF)
