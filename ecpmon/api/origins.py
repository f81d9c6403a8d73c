"""Pages in browsers: whose scripts may ask us (CORS), and which of them may open sockets.

A browser lets every page open a socket to anybody, and sends what a page of another origin asks; it says with `Origin`
whose page it is. Who sends none is no browser, and could say whatever he likes.

Invariants: a page of an origin that is not configured gets no header that would let it read an answer, and no socket,
unless it is our own; nor does it change anything where no token is asked for; no answer lets a page send what the
browser keeps for us (`Access-Control-Allow-Credentials`): there are no cookies, and a page shows the token that it was
given itself.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ecpmon.errors import Forbidden
from ecpmon.pathwords import allowed_instead
from ecpmon.settings import DEFAULT_PORTS

# What scripts may send beside what every page may.
_TAKEN: Final = (
    "Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, X-Debug, X-Demo-Mode,"
    " X-Request-ID"
)
# What they may read beside what every page may.
_EXPOSED: Final = (
    "Allow, Content-Disposition, ETag, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Debug-Info,"
    " X-Request-ID"
)
# Seconds for which a browser need not ask again whether it may ask.
_MAX_AGE: Final = "600"
_ASKED: Final = f"{hdrs.ORIGIN}, {hdrs.ACCESS_CONTROL_REQUEST_METHOD}, {hdrs.ACCESS_CONTROL_REQUEST_HEADERS}"


class Origins:
    """`configured`: as `Settings.cors_origins`; `ours`: a URL under which people reach us."""

    def __init__(self, configured: str, ours: str) -> None:
        self._configured = frozenset(filter(None, configured.split(",")))
        self._ours = _place(ours)

    def __bool__(self) -> bool:
        """Whether pages of other origins may ask anything."""
        return bool(self._configured)

    def check(self, request: web.Request) -> None:
        """Raises Forbidden for the page of a stranger."""
        origins = request.headers.getall(hdrs.ORIGIN, ())
        if not origins or (len(origins) == 1 and self._is_known(request, origins[0])):
            return
        raise Forbidden("pages of this origin may not do this; ECPMON_CORS_ORIGINS names those that may")

    def _is_known(self, request: web.Request, origin: str) -> bool:
        place = _place(origin)
        # Of ours the scheme does not matter: a proxy may have taken the TLS away.
        ours = (self._ours, _place(f"{origin.partition(':')[0]}://{request.host}"))
        return origin in self._configured or (place is not None and place in ours)

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser that asks whether one of its pages may ask; None: it is no such question, or none of
        a page that may."""
        if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return None
        allowed = allowed_instead(request)
        if allowed is None or self._asking(request) is None:
            return None
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(allowed)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _TAKEN,
            hdrs.ACCESS_CONTROL_MAX_AGE: _MAX_AGE,
            hdrs.VARY: _ASKED,
        }
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Before an answer is sent: whose page may read it. A cache must know that this differs."""
        varies = response.headers.get(hdrs.VARY)
        if varies is None or hdrs.ORIGIN not in varies:
            response.headers[hdrs.VARY] = hdrs.ORIGIN if varies is None else f"{varies}, {hdrs.ORIGIN}"
        if (origin := self._asking(request)) is not None:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def _asking(self, request: web.Request) -> str | None:
        origin = request.headers.get(hdrs.ORIGIN)
        return origin if origin in self._configured else None


def _place(url: str) -> tuple[str, int] | None:
    """Host and port; None: it names none."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return None if parts.hostname is None else (parts.hostname, port)


ORIGINS: Final = web.AppKey("origins", Origins)
