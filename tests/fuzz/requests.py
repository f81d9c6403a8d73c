"""Strategies for whole requests to a route, as bytes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st
from pydantic import BaseModel

from ecpmon.openapi.declaring import Contract, Json, Model, names_of
from tests.fuzz import nasty
from tests.fuzz.bodies import HINTS, body_of, of_model
from tests.remote_write import packed, series

_QUERY: Final = re.compile(r'(?:\(request, |query\.get\()"(\w+)"')
_NAME: Final = re.compile(r"\b[A-Z]\w+")
_PARAMETER: Final = re.compile(r"\{(\w+)(?::[^}]*)?\}")
QUERY_HINTS: Final[Mapping[str, Sequence[str]]] = {
    "windows": ("1h,24h,month", "30d"), "window": ("30d", "2h"), "step": ("1h", "5m"), "period": ("24h",),
    "interval": ("5m", "1h"), "hours": ("1", "24"), "limit": ("1", "100"), "skip": ("0",),
    "month": ("2026-02", "2026-03"),
    "format": ("json", "csv", "html", "pdf", "yaml", "openslo"), "metric_type": ("cpu", "sla"), "days": ("7",),
    "force": ("true", "false"), "keep_past": ("true",), "status": ("running",), "preset": ("small",),
}  # fmt: skip


@dataclass(frozen=True)
class Aim:
    """A route and what is known about it: `path` as aiohttp writes it, `known` the values of its parameters.

    Where nothing is declared, it is guessed from the source.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    known: Mapping[str, Sequence[str]]
    token: str = ""
    extra_bodies: Sequence[Any] = ()
    contract: Contract | None = None

    @property
    def module(self) -> Any:
        return inspect.getmodule(self.handler)

    def models(self) -> list[type[BaseModel]]:
        """The declared ones; else those that the handler names, those of its module, those that its module names."""
        if self.contract is not None:
            return _models(self.contract)
        known = [
            v for v in vars(self.module).values() if inspect.isclass(v) and issubclass(v, BaseModel | Model)
        ]
        named = set(_NAME.findall(inspect.getsource(self.handler)))
        return (
            [m for m in known if m.__name__ in named]
            or [m for m in known if m.__module__ == self.module.__name__]
            or [m for m in known if m not in (BaseModel, Model)]
        )

    def query_names(self, *, sound: bool) -> list[str]:
        """Where something is declared, no other name is taken: only what is `sound` reaches the handler."""
        if self.contract is None:
            return sorted({*_QUERY.findall(inspect.getsource(self.module)), "demo", "x"})
        declared = set() if self.contract.query is None else names_of(self.contract.query)
        return sorted(declared if sound else {*declared, "demo", "x"})


def _models(contract: Contract) -> list[type[BaseModel]]:
    shapes = [kind.shape for kind in contract.kinds_of_body if isinstance(kind, Json)]
    return [shape for shape in shapes if inspect.isclass(shape) and issubclass(shape, BaseModel | Model)]


def _encoded(text: str) -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass")[:3_000], safe="").encode()


# What may stand in a request line without being another request.
_RAW: Final = (
    b"\xff",
    b"\xed\xa0\x80",
    b"%",
    b"%zz",
    b"%ff",
    b"%ED%A0%80",
    b"a%2Fb",
    b"\x80\x81",
    b"..",
    b"%00",
)


# How much of a request is nonsense before its handler is reached: mostly nothing.
_SOUND: Final = st.sampled_from((True, True, True, True, False))
# Where it is, if it is: mostly in one place only, as a request whose method or host is wrong shows nothing of its path.
_PLACES: Final = st.lists(
    st.sampled_from(("path", "path", "query", "headers", "body", "method", "host")), min_size=1, max_size=3
).map(frozenset)


def _part(known: Sequence[str], *, sound: bool) -> st.SearchStrategy[bytes]:
    """A value of a path or a query."""
    fine = st.sampled_from([_encoded(k) for k in known] or [b"x"])
    if sound:
        return fine
    return st.sampled_from([_encoded(t) for t in (*nasty.TEXTS, *nasty.TIMES) if t]) | st.sampled_from(_RAW)


@st.composite
def _target(draw: st.DrawFn, aim: Aim, wrong: frozenset[str]) -> bytes:
    path = b""
    rest = aim.path
    while found := _PARAMETER.search(rest):
        exists = "path" not in wrong or draw(st.booleans())
        path += rest[: found.start()].encode() + draw(_part(aim.known.get(found[1], ()), sound=exists))
        rest = rest[found.end() :]
    path += rest.encode()
    hints = {**HINTS, **QUERY_HINTS, **aim.known}
    pairs = []
    names = aim.query_names(sound="query" not in wrong)
    for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) if names else ():
        known = [str(v) for v in hints.get(name, ()) if isinstance(v, str)]
        pairs.append(name.encode() + b"=" + draw(_part(known, sound=draw(st.booleans()))))
    return path + (b"?" + b"&".join(pairs) if pairs else b"")


@st.composite
def _nonsense(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    names = draw(st.lists(st.sampled_from(nasty.HEADER_NAMES), min_size=1, max_size=2, unique=True))
    found = []
    for name in names:
        own, others = nasty.OWN_VALUES.get(name, ()), nasty.HEADER_VALUES
        found.append((name, draw(st.sampled_from(own or others) | st.sampled_from(others))))
    return found


@st.composite
def request_to(draw: st.DrawFn, aim: Aim) -> bytes:
    """One request. Four of five are sound up to the query and the body, so that they reach what is behind."""
    wrong = frozenset() if draw(_SOUND) else draw(_PLACES)
    method = draw(st.sampled_from(("HEAD", "OPTIONS", "PATCH", "PUT"))) if "method" in wrong else aim.method
    headers = [(b"Authorization", b"Bearer " + aim.token.encode())] if aim.token else []
    if "headers" in wrong:
        extra = draw(_nonsense())
        headers = [h for h in headers if h[0] not in dict(extra)] + extra
    target, body = draw(_target(aim, wrong)), b""
    if _takes_messages(aim):
        body, kind = draw(_messages(aim)), b"application/x-protobuf"
        headers += [(b"Content-Type", kind), (b"Content-Encoding", b"snappy")]
    elif method in ("POST", "PUT", "PATCH") or "body" in wrong:
        body = draw(body_of(_documents(aim)))
        headers.append(
            (b"Content-Type", draw(st.sampled_from((b"application/json",) * 7 + (b"application/yaml",))))
        )
    host = draw(st.sampled_from(nasty.HEADER_VALUES)) if "host" in wrong else b"localhost"
    head = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: " + host, b"Connection: close"]
    head += [name + b": " + value for name, value in headers]
    head += [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _takes_messages(aim: Aim) -> bool:
    """Whether the route's bodies are messages of remote write, and nothing else."""
    kinds = aim.contract.kinds_of_body if aim.contract is not None else ()
    return [kind.media_type for kind in kinds] == ["application/x-protobuf"]


@st.composite
def _messages(draw: st.DrawFn, aim: Aim) -> bytes:
    """Of remote write, most often as they should be."""
    at = int(draw(st.sampled_from((0, 1_772_442_000, 2**40))) * 1000)
    names = draw(st.lists(st.sampled_from(("up", "cpu", "", "x" * 101, "a\x00")), min_size=1, max_size=3))
    whole = b"".join(
        series(
            {"__name__": name, "tenant_id": draw(st.sampled_from((*aim.known["tenant_id"], "nobody")))},
            (1.0, at),
        )
        for name in names
    )
    damaged = draw(
        st.sampled_from((whole, whole, whole, whole[:-1], whole + b"\xff")) | st.binary(max_size=100)
    )
    return draw(st.sampled_from((packed(damaged), packed(damaged), packed(damaged), damaged)))


def _documents(aim: Aim) -> st.SearchStrategy[Any]:
    models = [of_model(m, aim.known) for m in aim.models()]
    return st.one_of([*models, *(st.just(each) for each in aim.extra_bodies), st.just({})])
