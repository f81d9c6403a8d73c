"""No message breaks a socket: what cannot be understood is answered in the one error shape or ends with a code."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given

from ecpmon.api.application import route_table
from ecpmon.api.routing import Route
from tests.fuzz.conftest import Service
from tests.fuzz.frames import CLOSE, HANDSHAKE, TEXT, frame, messages, received
from tests.fuzz.sending import LONGEST, SENT, Sender
from tests.fuzz.served import ERROR_KEYS
from tests.fuzz.test_api import examples, name_of

SOCKETS = [route for route in route_table() if route.socket]
# RFC 6455: what a server may close with; ours begin at 4400.
CODES = {1000, 1001, 1002, 1003, 1007, 1009, 1013, 4401, 4403, 4404}
FEW, MANY = 40, 1_000


def fuzz(service: Service, route: Route, count: int, longest: float | None = None) -> Sender:
    service.as_configured()  # a fuzz of settings may have switched them off
    known = service.tenant()
    path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]][0], route.path)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n".encode()

    sender = Sender(longest)

    @examples(count)
    @given(messages())
    def check(sent: list[bytes]) -> None:
        if not sender.goes_on():
            return
        service.clock.advance(1)
        with service.served.connect() as connection:
            connection.sendall(head + HANDSHAKE + b"\r\n")
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # it may have closed at the first of them
                connection.sendall(b"".join([*sent, frame(CLOSE, b"\x03\xe8")]))
            answer, frames = received(connection)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        for kind, payload in frames:
            if kind == TEXT:
                document = json.loads(payload.decode("utf-8"))
                assert "error" not in document or document["error"].keys() == ERROR_KEYS, document
            if kind == CLOSE:
                assert int.from_bytes(payload[:2], "big") in CODES, (sent, payload)
        assert service.watched.taken() == [], sent

    check()
    return sender


@pytest.mark.parametrize("route", SOCKETS, ids=name_of)
def test_no_message_breaks_a_socket(fuzz_service: Service, route: Route) -> None:
    fuzz(fuzz_service, route, FEW)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("route", SOCKETS, ids=name_of)
def test_no_message_breaks_a_socket_at_length(
    fuzz_service: Service, route: Route, record_property: Callable[[str, object], None]
) -> None:
    record_property(SENT, fuzz(fuzz_service, route, MANY, 3 * LONGEST).told(MANY))
