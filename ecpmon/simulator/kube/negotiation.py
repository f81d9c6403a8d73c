"""Which form of an answer the client asked for, and in which form a body came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from ecpmon.simulator.kube import protobuf, protobuf_objects
from ecpmon.simulator.kube.status import (
    ApiError,
    Document,
    bad_request,
    not_acceptable,
    unsupported_media_type,
)
from ecpmon.sla.yamlstream import UNREADABLE
from ecpmon.wire import dumps

try:  # libyaml: twenty times as fast
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # a PyYAML that was built without it
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

JSON: Final = "application/json"
YAML: Final = "application/yaml"
_OFFERED: Final = (JSON, YAML)
_MAX_DEPTH: Final = 200
_MAX_VALUES: Final = 100_000
_MAX_NUMBER: Final = 40


class Form(StrEnum):
    """`OBJECT` is the object itself; the others are renderings by `meta.k8s.io`."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client takes: `media` is JSON or YAML; `aggregated` the version of aggregated discovery."""

    media: str = JSON
    form: Form = Form.OBJECT
    aggregated: str = ""


def wish_of(accept: str | None) -> Wish:
    """The first thing the client accepts that we can give; ApiError 406 when there is none."""
    ranges = [_media_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    for media, parameters in sorted(ranges, key=lambda r: -_quality(r[1])):
        wish = _offer(media, parameters)
        if wish is not None:
            return wish
    raise not_acceptable(_OFFERED)


def _media_range(text: str) -> tuple[str, dict[str, str]]:
    message = Message()
    message["Content-Type"] = text.strip()
    found = message.get_params(failobj=[])
    return (found[0][0].lower() if found else ""), {key.lower(): value for key, value in found[1:]}


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def _offer(media: str, parameters: Mapping[str, str]) -> Wish | None:
    if media in ("*/*", "application/*"):
        media = JSON
    if media not in _OFFERED:
        return None
    rendering, group, version = (parameters.get(name, "") for name in ("as", "g", "v"))
    if not rendering:
        return Wish(media)
    if group == "apidiscovery.k8s.io" and version in ("v2", "v2beta1"):
        return Wish(media, aggregated=version)
    if group == "meta.k8s.io" and version == "v1" and rendering in set(Form):
        return Wish(media, Form(rendering))
    return None


def encode(document: Any, media: str) -> bytes:
    """The document as JSON or YAML."""
    if media == YAML:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    return dumps(document)


def content_type_of(request: web.Request) -> str:
    """The body's media type without its parameters; JSON when the client does not say."""
    return request.content_type if "Content-Type" in request.headers else JSON


async def read_document(request: web.Request, accepted: tuple[str, ...] = _OFFERED) -> Document:
    """The body as an object; ApiError 415 for another form, 400 for what cannot be read."""
    kind = content_type_of(request)
    if kind == protobuf.PROTOBUF and YAML in accepted:
        return protobuf_objects.document(await read_bytes(request))
    if kind not in accepted:
        raise unsupported_media_type(accepted)
    document = parse(await read_bytes(request), kind)
    if not isinstance(document, dict):
        raise bad_request("the body must be an object")
    return document


async def read_bytes(request: web.Request) -> bytes:
    """The body; ApiError 413 when it is larger than this server takes."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {error.text}") from None


def parse(raw: bytes, kind: str) -> Any:
    """JSON, or YAML (of which JSON is a part) for the types that say so."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if not kind.endswith("yaml"):
            raise _unreadable(error) from None
    try:
        # Through JSON: what it cannot express (other keys than text, dates, NaN) has no place in an object.
        _check_yaml(raw)
        return orjson.loads(orjson.dumps(yaml.load(raw, Loader=_Loader)))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, *UNREADABLE) as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> ApiError:
    return bad_request(f"the object provided is unrecognized (must be of type {JSON}): {error}")


class _Loader(_SafeLoader):
    """YAML with JSON's types: times and `22:22` stay text."""


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float | str:
    text = str(loader.construct_scalar(node))
    if ":" in text:  # YAML's numbers to base 60, which Kubernetes does not know
        return text
    if len(text) > _MAX_NUMBER:
        raise yaml.YAMLError(f"a number of more than {_MAX_NUMBER} characters")
    is_int = node.tag.endswith(":int")
    return loader.construct_yaml_int(node) if is_int else loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _check_yaml(raw: bytes) -> None:
    """YAMLError for what would take too long: everything waits while a body is read."""
    depth = values = 0
    for event in yaml.parse(raw, Loader=_SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")  # a few of them can mean gigabytes
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > _MAX_DEPTH or values > _MAX_VALUES:
            raise yaml.YAMLError(f"more than {_MAX_DEPTH} levels or {_MAX_VALUES} values")
