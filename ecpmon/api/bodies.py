"""Reading request bodies: JSON that neither NaN, huge numbers nor deep nesting can break."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from ecpmon.errors import BadRequest, PermanentError, ValidationFailed

Model = TypeVar("Model", bound=BaseModel)
MAX_INTEGER_DIGITS: Final = 400
MAX_FIELDS_REPORTED: Final = 100


class UnsupportedMediaType(PermanentError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


async def read_json(request: web.Request, *, optional: bool = False) -> Any:
    """The parsed body; `{}` for an empty one when it is optional.

    Anything but a JSON content type is refused: a web page could send the others without asking first.
    """
    body = await request.read()
    if not body:
        if optional:
            return {}
        raise BadRequest("the request needs a JSON body")
    if request.content_type != "application/json" and not request.content_type.endswith("+json"):
        raise UnsupportedMediaType(
            f"the body must be application/json, not {request.content_type}",
            details={"content_type": request.content_type},
        )
    return loads(body)


def loads(body: bytes | str) -> Any:
    """Parse JSON. `NaN` and infinities come out as floats for the reader to refuse. Raises BadRequest."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Either it is malformed or it holds what the strict parser refuses: NaN, numbers past 64 bits.
        return _loads_leniently(body)


def _loads_leniently(body: bytes | str) -> Any:
    try:
        return json.loads(body, parse_int=_integer)
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno}
        raise BadRequest(f"the body is not valid JSON: {error.msg}", details=where) from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else float(text)


def validate(model: type[Model], data: Any) -> Model:
    """`data` as `model`. Raises ValidationFailed with one entry per bad field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = [
            {"field": ".".join(map(str, item["loc"])) or "body", "message": item["msg"]}
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ValidationFailed(
            f"{len(fields)} field(s) are not valid", fields=fields[:MAX_FIELDS_REPORTED]
        ) from None


async def read_model(request: web.Request, model: type[Model], *, optional: bool = False) -> Model:
    return validate(model, await read_json(request, optional=optional))
