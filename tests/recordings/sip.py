"""A SIP caller and a SIP trunk over UDP, as small as they can be: what becomes of a call is said by whom it is for."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import uuid
from collections.abc import Iterator

ACKNOWLEDGED = 5.0


def _header(message: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r$", message, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


def _reply(request: str, status: str) -> bytes:
    vias = re.findall(r"^Via:.*?\r$", request, re.MULTILINE | re.IGNORECASE)
    to = _header(request, "To")
    kept = [*(via.rstrip("\r") for via in vias), f"From: {_header(request, 'From')}"]
    kept.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag=trunk")
    kept += [
        f"Call-ID: {_header(request, 'Call-ID')}",
        f"CSeq: {_header(request, 'CSeq')}",
        "Content-Length: 0",
    ]
    return ("\r\n".join([f"SIP/2.0 {status}", *kept]) + "\r\n\r\n").encode()


@contextlib.contextmanager
def trunk(port: int) -> Iterator[None]:
    """`busy` is answered with 486, `fail` with 500, `hang` rings until it is cancelled, everybody else answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        sock.settimeout(0.2)
        over = threading.Event()
        ringing: dict[str, str] = {}

        def serve() -> None:
            while not over.is_set():
                try:
                    data, peer = sock.recvfrom(65536)
                except (TimeoutError, ConnectionError):
                    continue
                request = data.decode()
                method, address = request.split(" ", 2)[:2]
                call = _header(request, "Call-ID")
                if method == "INVITE":
                    who = address.partition(":")[2].partition("@")[0]
                    sock.sendto(_reply(request, "180 Ringing"), peer)
                    if who == "hang":
                        ringing[call] = request
                    else:
                        status = {"busy": "486 Busy Here", "fail": "500 Server Internal Error"}.get(
                            who, "200 OK"
                        )
                        sock.sendto(_reply(request, status), peer)
                elif method == "CANCEL":
                    sock.sendto(_reply(request, "200 OK"), peer)
                    if call in ringing:
                        sock.sendto(_reply(ringing.pop(call), "487 Request Terminated"), peer)
                elif method != "ACK":
                    sock.sendto(_reply(request, "200 OK"), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Caller:
    """Sends to a proxy, each call from a port of its own."""

    def __init__(self, proxy: int) -> None:
        self._proxy = ("127.0.0.1", proxy)

    def request(self, method: str, who: str, patience: float = 8.0) -> str:
        """The final status of a request without a call."""
        with self._socket() as sock:
            sock.sendto(self._message(sock, method, who, uuid.uuid4().hex, method), self._proxy)
            return self._final(sock, method, patience)

    def call(
        self, who: str, twice: bool = False, cancel_after: float | None = None, patience: float = 8.0
    ) -> str:
        """The final status of an INVITE. `twice`: it is sent again at once, as after a loss."""
        branch = uuid.uuid4().hex
        with self._socket() as sock:
            invite = self._message(sock, "INVITE", who, branch, "INVITE")
            for _ in range(2 if twice else 1):
                sock.sendto(invite, self._proxy)
            if cancel_after is not None:
                with contextlib.suppress(TimeoutError):
                    self._final(sock, "INVITE", cancel_after)
                sock.sendto(self._message(sock, "CANCEL", who, branch, "CANCEL"), self._proxy)
            status = self._final(sock, "INVITE", patience)
            sock.sendto(self._message(sock, "ACK", who, branch, "ACK"), self._proxy)
            return status

    @staticmethod
    def _socket() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return sock

    def _message(self, sock: socket.socket, method: str, who: str, branch: str, sequence: str) -> bytes:
        host = f"127.0.0.1:{sock.getsockname()[1]}"
        address = f"sip:{who}@127.0.0.1:{self._proxy[1]}"
        lines = [
            f"{method} {address} SIP/2.0", f"Via: SIP/2.0/UDP {host};branch=z9hG4bK{branch};rport", "Max-Forwards: 70",
            f"From: <sip:caller@{host}>;tag={branch[:8]}", f"To: <{address}>", f"Call-ID: {branch}@{host}",
            f"CSeq: 1 {sequence}", f"Contact: <sip:caller@{host}>", "Content-Length: 0",
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _final(self, sock: socket.socket, method: str, patience: float) -> str:
        sock.settimeout(patience)
        while True:
            answer = sock.recv(65536).decode()
            status = answer.split(" ", 2)[1]
            if status >= "200" and _header(answer, "CSeq").endswith(method):
                return status
