"""The local mail catcher of `ecpmon up`: an SMTP server that delivers nothing, and pages that show what it was given.

It keeps every message in a folder (`ecpmon.local.mailbox`). For this machine only: it asks nobody for a password.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from ecpmon.local.mailbox import Caught, Mailbox
from ecpmon.serving import Runner, stop_on_signals
from ecpmon.wire import dumps

log = logging.getLogger("ecpmon.mail")
_SHOWN: Final = 200
_BOX: Final = web.AppKey("mailbox", Mailbox)
# What comes by mail is shown, and nothing of it is run.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE: Final = (
    "<style>body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
    "pre{white-space:pre-wrap;background:#f4f6f8;padding:1rem}</style>"
)


class _Catching:
    """aiosmtpd's handler: a message is acknowledged once it is on the disk."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            name = await asyncio.to_thread(
                self._box.add, content, envelope.mail_from or "", envelope.rcpt_tos, datetime.now(UTC)
            )
        except OSError as error:
            log.warning("a message was not kept: %s", error)
            return "452 4.3.1 the folder cannot be written"
        log.info("%s for %s", name or "a message that is here already", ", ".join(envelope.rcpt_tos))
        return "250 2.0.0 kept"


def smtp_factory(box: Mailbox) -> Callable[[], SMTP]:
    """Makes the protocol of one connection."""
    loop = asyncio.get_running_loop()
    return lambda: SMTP(_Catching(box), loop=loop, hostname="localhost", ident="ecpmon mail catcher")


async def _list(request: web.Request) -> web.Response:
    """The newest messages as JSON."""
    found = await asyncio.to_thread(request.app[_BOX].newest, _SHOWN)
    body = {"messages": [asdict(one) for one in found]}
    return web.Response(body=dumps(body), content_type="application/json", headers=_HEADERS)


async def _page(request: web.Request) -> web.Response:
    found = await asyncio.to_thread(request.app[_BOX].newest, _SHOWN)
    rows = "".join(_row(one) for one in found)
    head = "<tr><th>received</th><th>to</th><th>subject</th><th>attached</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else "<p>No mail yet.</p>"
    text = (
        f"{_STYLE}<title>Mail</title><h1>Mail</h1><p>What ecpmon sent. Nothing left this machine.</p>{table}"
    )
    return _html(text)


def _row(one: Caught) -> str:
    cells = (
        escape(one.received_at),
        escape(one.to),
        f'<a href="/messages/{one.name}">{escape(one.subject) or "(none)"}</a>',
        escape(", ".join(one.attachments)),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


async def _show(request: web.Request) -> web.Response:
    """A message as a page, or with `?raw` as it came."""
    name, box = request.match_info["name"], request.app[_BOX]
    if "raw" in request.query:
        raw = await asyncio.to_thread(box.raw, name)
        if raw is None:
            raise web.HTTPNotFound
        return web.Response(body=raw, content_type="text/plain", charset="utf-8", headers=_HEADERS)
    message = await asyncio.to_thread(box.message, name)
    if message is None:
        raise web.HTTPNotFound
    shown = ("Delivered-To", "From", "To", "Date", "Subject", "Message-ID")
    heads = "".join(f"<tr><th>{h}</th><td>{escape(str(message[h] or ''))}</td></tr>" for h in shown)
    body = message.get_body(("plain", "html"))
    text = str(body.get_content()) if body is not None else ""
    names = [part.get_filename() or "unnamed" for part in message.iter_attachments()]
    links = "".join(
        f'<li><a href="/messages/{name}/attachments/{n}">{escape(file)}</a></li>'
        for n, file in enumerate(names)
    )
    return _html(
        f"{_STYLE}<title>{escape(str(message['Subject'] or ''))}</title><table>{heads}</table>"
        f'<pre>{escape(text)}</pre><ul>{links}</ul><p><a href="/messages/{name}?raw">as it came</a> · '
        '<a href="/">all mail</a></p>'
    )


async def _attachment(request: web.Request) -> web.Response:
    message = await asyncio.to_thread(request.app[_BOX].message, request.match_info["name"])
    parts = list(message.iter_attachments()) if message is not None else []
    number = int(request.match_info["number"])
    if number >= len(parts):
        raise web.HTTPNotFound
    content = parts[number].get_content()
    body = content if isinstance(content, bytes) else str(content).encode()
    headers = {**_HEADERS, "Content-Disposition": "attachment"}
    return web.Response(body=body, content_type=parts[number].get_content_type(), headers=headers)


def _html(text: str) -> web.Response:
    page = f'<!doctype html><meta charset="utf-8">{text}'
    return web.Response(text=page, content_type="text/html", headers=_HEADERS)


def create_pages(box: Mailbox) -> web.Application:
    """`/` for people, `/messages` for programs."""
    app = web.Application()
    app[_BOX] = box
    app.router.add_get("/", _page)
    app.router.add_get("/messages", _list)
    app.router.add_get("/messages/{name}", _show)
    app.router.add_get(r"/messages/{name}/attachments/{number:\d{1,3}}", _attachment)
    return app


async def serve(host: str, smtp_port: int, port: int, folder: Path) -> None:
    """Catch until SIGTERM, SIGINT or cancellation. Raises OSError when a port is taken or the folder is not ours."""
    box, stopped = await asyncio.to_thread(Mailbox, folder), asyncio.Event()
    runner = Runner(create_pages(box), access_log=None, shutdown_timeout=2.0)
    server = await asyncio.get_running_loop().create_server(smtp_factory(box), host, smtp_port)
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        stop_on_signals(stopped)
        log.info(
            "mail for %s:%s is kept in %s and shown on http://%s:%s", host, smtp_port, folder, host, port
        )
        await stopped.wait()
    finally:
        server.close()
        await runner.cleanup()
