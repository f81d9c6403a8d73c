"""rtpengine: calls with media both ways, one way and none, calls refused for lack of ports, answers for no call."""

from __future__ import annotations

import socket
import time
import uuid
from typing import Any

from tests.recordings.driving import (
    Client,
    Recording,
    debian,
    free_port,
    serving,
    temporary,
    text_of,
    version_of,
    within,
)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
KEPT = "rtpengine_(requests_total|errors_total|zero_.*|.*sessions.*)"


def encoded(value: Any) -> bytes:
    """Bencode, as far as it is needed."""
    if isinstance(value, dict):
        return b"d" + b"".join(encoded(k) + encoded(v) for k, v in sorted(value.items())) + b"e"
    text = str(value).encode()
    return str(len(text)).encode() + b":" + text


class Engine:
    """Its control protocol."""

    def __init__(self, port: int) -> None:
        self._peer = ("127.0.0.1", port)

    def ask(self, command: str, **more: str) -> str:
        """What it answers, undecoded: it is looked into only for words."""
        cookie = uuid.uuid4().hex[:8].encode()
        given = {"command": command, **{name.replace("_", "-"): value for name, value in more.items()}}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(cookie + b" " + encoded(given), self._peer)
            return sock.recv(65536).decode()


def _port_in(answer: str) -> int:
    return int(answer.partition("m=audio ")[2].split(" ", 1)[0])


def call(engine: Engine, media: str = "both", seconds: float = 0.6, end: bool = True) -> str:
    """`media`: both, one or none. `ok`, or why it was refused."""
    name = uuid.uuid4().hex
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b,
    ):
        for sock in (a, b):
            sock.bind(("127.0.0.1", 0))
        offer = engine.ask("offer", call_id=name, from_tag="a", sdp=SDP.format(port=a.getsockname()[1]))
        if "m=audio" not in offer:
            return "refused"
        answer = engine.ask(
            "answer", call_id=name, from_tag="a", to_tag="b", sdp=SDP.format(port=b.getsockname()[1])
        )
        towards_b, towards_a = ("127.0.0.1", _port_in(answer)), ("127.0.0.1", _port_in(offer))
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            packet = (
                b"\x80\x00"
                + number.to_bytes(2, "big")
                + (160 * number).to_bytes(4, "big")
                + b"\0\0\0\1"
                + b"\xff" * 160
            )
            if media in ("both", "one"):
                a.sendto(packet, towards_b)
            if media == "both":
                b.sendto(packet, towards_a)
            number += 1
            time.sleep(0.02)
        if end:
            engine.ask("delete", call_id=name, from_tag="a")
    return "ok"


def main() -> None:
    with temporary() as folder:
        root = debian(folder, "rtpengine-daemon")
        control, http = free_port(), free_port()
        engine = Engine(control)

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{http}/metrics")

        argv = within(
            root, "usr/bin/rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--table=-1",
            "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}", f"--listen-http=127.0.0.1:{http}",
            "--port-min=40000", "--port-max=40043", "--silent-timeout=3", "--timeout=4", "--delete-delay=0",
            "--no-fallback",
        )  # fmt: skip
        with serving(argv, folder, lambda: "rtpengine_" in metrics()):
            before = metrics()
            client = Client()
            client.send("good", 12, lambda: call(engine), {"ok"}, at_once=4)
            client.send("one_way", 4, lambda: call(engine, "one"), {"ok"}, at_once=4)
            client.send("dead_air", 4, lambda: call(engine, "none"), {"ok"}, at_once=4)
            left = [call(engine, "both", seconds=0.1, end=False) for _ in range(20)]
            client.sort({"ok": "left_open", "refused": "refused"}, left)
            time.sleep(15)
            assert "error" in engine.ask(
                "answer", call_id="nobody", from_tag="a", to_tag="b", sdp=SDP.format(port=9)
            )
            client.counted["stray_answers"] = 1
            assert "error" in engine.ask("offer", call_id="bad", from_tag="a")
            client.counted["malformed"] = 1
            time.sleep(3)
            after = metrics()
        print(client.counted)
        Recording(
            "rtpengine",
            f"rtpengine {version_of(root, 'rtpengine-daemon')} (Debian)",
            "rtpengine",
            client.counted,
            {
                "requests_total": "good + one_way + dead_air + left_open + refused + malformed",
                "errors_total": "refused + malformed + stray_answers",
                "closed_sessions_total": "good + one_way + dead_air + left_open",
                "one_way_sessions_total": "one_way",
                "zero_packet_streams_total": "dead_air",
            },
            notes=["left_open: both ways, then no delete; they end by the time-out"],
        ).write(
            before,
            after,
            KEPT,
        )


if __name__ == "__main__":
    main()
