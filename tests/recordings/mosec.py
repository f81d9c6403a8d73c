"""mosec: good, slow, failed, invalid, timed out by the server, refused when it is full, given up by the client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.recordings.driving import (
    GAVE_UP,
    Client,
    Recording,
    ask,
    environment,
    free_port,
    serving,
    settled,
    temporary,
    text_of,
)

VERSION = "0.9.8"
SERVER = """
import time
from mosec import Server, Worker

class Sleeper(Worker):
    def forward(self, data):
        if data["seconds"] < 0:
            raise RuntimeError("the model fails")
        time.sleep(data["seconds"])
        return {"slept": data["seconds"]}

if __name__ == "__main__":
    server = Server()
    server.append_worker(Sleeper, num=2, timeout=2)
    server.run()
"""


def main() -> None:
    with temporary() as folder:
        python = environment(
            folder, f"mosec=={VERSION}", "msgspec==0.22.0", "defspec==0.7.1", "offapi==0.1.4"
        )
        (folder / "server.py").write_text(SERVER)
        port = free_port()
        url = f"http://127.0.0.1:{port}"

        def asleep(seconds: float, patience: float = 20.0) -> str:
            return ask(f"{url}/inference", {"seconds": seconds}, patience)

        argv = [
            python,
            folder / "server.py",
            "--address",
            "127.0.0.1",
            "--port",
            str(port),
            "--capacity",
            "8",
        ]
        with serving(argv, folder, lambda: asleep(0) == "200"):
            before = settled(lambda: text_of(f"{url}/metrics"), "mosec_service_throughput")
            client = Client()
            client.send("good", 40, lambda: asleep(0), {"200"}, at_once=2)
            client.send("slow", 6, lambda: asleep(0.5), {"200"}, at_once=2)
            client.send("failed", 3, lambda: asleep(-1), {"500"}, at_once=1)
            client.send("invalid", 5, lambda: ask(f"{url}/inference", b"{no JSON"), {"400"}, at_once=1)
            client.send("timed_out", 4, lambda: asleep(4), {"408"}, at_once=2)
            settled(lambda: text_of(f"{url}/metrics"), "mosec_service_throughput", 5)
            client.send("cancelled", 4, lambda: asleep(1.5, patience=0.4), {GAVE_UP}, at_once=2)
            settled(lambda: text_of(f"{url}/metrics"), "mosec_service_throughput", 4)
            with ThreadPoolExecutor(20) as pool:
                seen = list(pool.map(lambda _: asleep(0.6), range(20)))
            client.sort({"200": "slow", "429": "refused", "408": "timed_out"}, seen)
            after = settled(lambda: text_of(f"{url}/metrics"), "mosec_service_throughput", 3)
        print(client.counted)
        Recording(
            "mosec",
            f"mosec {VERSION}",
            "mosec",
            client.counted,
            {
                "requests_total": "good + slow + failed + timed_out + refused",
                "errors_total": "failed + timed_out + refused",
                "fast_total": "good",
                "timed_total": "good + slow + failed + timed_out + refused",
            },
            {
                "cancelled": "a request that its client gives up is in no counter and no histogram",
                "invalid": "the client's own fault",
            },
        ).write(before, after, "mosec_service_(throughput_total|process_duration_second.*)")


if __name__ == "__main__":
    main()
