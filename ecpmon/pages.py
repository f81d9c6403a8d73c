"""Swagger UI and Redoc over a document of ours, from files of this installation (`ui/`); no other host is asked.

The policy that every page carries lets it load from here only: no script or style in the page itself, no frame around
it. Styles of elements are set by script, which the policy does not concern.
"""

from __future__ import annotations

import asyncio
from functools import cache
from html import escape
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import web

from ecpmon.errors import NotFound
from ecpmon.kept import Kept
from ecpmon.resources import data_dir

# Redoc's styles are rules that its script adds to an element: an empty one, and one with those of its scroll bar. The
# hashes are of these two texts; another version may have others.
_REDOC: Final = " ".join(
    (
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
    )
)
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {_REDOC}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
# Folders of our own pages.
_OWN: Final = ("pages", "console")
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
}
_KEPT: Final = "public, max-age=3600"
# Of our own: after an upgrade none may be of the release before, so a browser asks each time, by `ETag`.
_ASKED: Final = "no-cache"


def page(which: Literal["docs", "redoc"], title: str, document: str) -> web.Response:
    """A page that shows the document at the address `document`, relative to the page's own."""
    text = _template(which).replace("{title}", escape(title)).replace("{document}", escape(document))
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def console(asks: str | None = None) -> web.Response:
    """The console, which asks the API like anybody else, and the URL `asks` of an issuer."""
    headers = _HEADERS if asks is None else _HEADERS | {"Content-Security-Policy": _asking(asks)}
    return web.Response(text=_template("console"), content_type="text/html", headers=headers)


def _asking(url: str) -> str:
    """The policy of a page that may ask the host of `url`, too."""
    parts = urlsplit(url)
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' {parts.scheme}://{parts.netloc}")


def simulator(root: str) -> web.Response:
    """The page of a simulated cluster. `root`: from there to where our files are."""
    text = _template("simulator").replace("{root}", root)
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


async def asset(request: web.Request, name: str) -> web.Response:
    """A file that a page loads, whole. Raises NotFound."""
    file = _files().get(name)
    if file is None:
        raise NotFound(f"no page has a file {name!r}")
    if name not in _loaded:
        _loaded[name] = await asyncio.to_thread(_load, file)
    kept = _ASKED if file.parent.name in _OWN else _KEPT
    return _loaded[name].answer(request, _TYPES[file.suffix], {**_HEADERS, "Cache-Control": kept})


# Some megabytes, once somebody looks at a page.
_loaded: Final[dict[str, Kept]] = {}


def _load(file: Path) -> Kept:
    packed = file.with_name(file.name + ".gz")
    return Kept.of(file.read_bytes(), packed.read_bytes() if packed.is_file() else None)


@cache
def _template(which: str) -> str:
    [file] = [file for own in _OWN if (file := data_dir("ui") / own / f"{which}.html").is_file()]
    return file.read_text()


@cache
def _files() -> dict[str, Path]:
    """What may be asked for, by name: known before anybody asks, so no name reaches the file system."""
    folder = data_dir("ui")
    found = [*(file for own in _OWN for file in (folder / own).iterdir()), *(folder / "dist").glob("*/*")]
    return {file.name: file for file in found if file.suffix in _TYPES}
