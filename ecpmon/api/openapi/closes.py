"""Why sockets are closed, by code: what every socket is closed for, and what one declares."""

from __future__ import annotations

from typing import Final

from ecpmon.openapi.declaring import Contract

_CLOSES: Final = {
    1000: "The client has said goodbye.",
    1001: "The server stops: connect again.",
    1002: "A frame against the protocol.",
    1007: "A text that is not UTF-8.",
    1009: "A message of more than 64 KiB, or one in too many fragments.",
    1011: "A fault of the server, which is logged.",
    1013: "The client stays behind: connect again, and read faster.",
    4401: "No token, or one that is not valid any more.",
    4403: "The token lacks the role, or the page that asks is of an origin that may not.",
    4404: "There is no such tenant, or not for this caller, or not any more.",
}


def closes_of(contract: Contract) -> dict[int, str]:
    """In order."""
    return dict(sorted({**_CLOSES, **(contract.closes or {})}.items()))
