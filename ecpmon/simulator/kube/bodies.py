"""What a request body means: a patch, an eviction, the options of a deletion."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from ecpmon.simulator.kube import protobuf, writing
from ecpmon.simulator.kube.negotiation import JSON, YAML, content_type_of, parse, read_bytes, read_document
from ecpmon.simulator.kube.openapi import PATCH_TYPES
from ecpmon.simulator.kube.patches import json_patch, merge_patch, strategic_merge
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.schemas import schema_of, well_typed
from ecpmon.simulator.kube.status import Document, bad_request, unsupported_media_type

APPLY_TYPE: Final = "application/apply-patch+yaml"


async def patch_of(request: web.Request, target: Target) -> writing.Patch:
    """The change that the body describes. ApiError 415 for a kind of patch that is not understood here."""
    kind = content_type_of(request)
    schemaless = target.resource.schemaless
    accepted = [t for t in PATCH_TYPES if not (schemaless and t.startswith("application/strategic"))]
    if kind not in accepted:
        raise unsupported_media_type(accepted)
    body = parse(await read_bytes(request), kind)
    if kind == "application/json-patch+json":
        return lambda document: json_patch(document, body)
    if kind == "application/merge-patch+json":
        return lambda document: merge_patch(document, body)
    return lambda document: strategic_merge(document, body, schema_of(target.resource))


async def resize_of(request: web.Request, target: Target) -> writing.Patch:
    """What is sent to `/resize`: a pod, a patch, or a pod that is applied, which is merged; its fields are nobody's."""
    if request.method == "PUT":
        body = await read_document(request)
        return lambda _: body
    if content_type_of(request) == APPLY_TYPE:
        body = await read_document(request, (APPLY_TYPE,))
        return lambda document: strategic_merge(document, body, schema_of(target.resource))
    return await patch_of(request, target)


async def eviction(request: web.Request) -> Document:
    """`kubectl drain` sends it as protobuf."""
    if content_type_of(request) != protobuf.PROTOBUF:
        body = await read_document(request)
        return {**body, "deleteOptions": well_typed(body.get("deleteOptions") or {}, "DeleteOptions")}
    return protobuf.eviction(protobuf.envelope(await read_bytes(request))[2])


async def delete_options(request: web.Request) -> Document:
    """DeleteOptions from the body, if any, and the query."""
    raw = await read_bytes(request)
    options: Document = {}
    if raw.strip():
        kind = content_type_of(request)
        if kind not in (JSON, YAML, protobuf.PROTOBUF):
            raise unsupported_media_type((JSON, YAML))
        if kind == protobuf.PROTOBUF:
            found: Any = protobuf.delete_options(protobuf.envelope(raw)[2])
        else:
            found = parse(raw, kind)
        if not isinstance(found, dict):
            raise bad_request("DeleteOptions must be an object")
        options = found
    options = well_typed(options, "DeleteOptions")
    asked = request.query.get("propagationPolicy")
    return {**options, "propagationPolicy": asked} if asked else options
