"""HAProxy in front of a server, read by the profile `http`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.recordings.backend import backend
from tests.recordings.driving import (
    GAVE_UP,
    Client,
    Recording,
    ask,
    debian,
    free_port,
    serving,
    temporary,
    text_of,
    version_of,
    within,
)

KEPT = "haproxy_(backend|frontend)_(http_responses_total|http_requests_total|client_aborts_total)"
CONFIG = """
global
    log stderr local0
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 2s
    timeout queue 500ms
frontend web
    bind 127.0.0.1:{port}
    use_backend acme-dead if {{ path_beg /dead }}
    default_backend acme
backend acme
    server one 127.0.0.1:{behind} maxconn 8
backend acme-dead
    server none 127.0.0.1:{nobody}
frontend metrics
    bind 127.0.0.1:{admin}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""


def main() -> None:
    with temporary() as folder:
        root = debian(folder, "haproxy")
        port, admin, behind, nobody = (free_port() for _ in range(4))
        config = folder / "haproxy.cfg"
        config.write_text(CONFIG.format(port=port, admin=admin, behind=behind, nobody=nobody))
        url = f"http://127.0.0.1:{port}"

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{admin}/metrics")

        with (
            backend(behind),
            serving(within(root, "usr/sbin/haproxy", "-db", "-f", str(config)), folder,
                    lambda: ask(f"{url}/answer") == "200"),
        ):  # fmt: skip
            before = metrics()
            client = Client()
            client.send("good", 40, lambda: ask(f"{url}/answer"), {"200"})
            client.send("slow", 6, lambda: ask(f"{url}/answer?seconds=0.5"), {"200"})
            client.send("failed", 3, lambda: ask(f"{url}/answer?status=500"), {"500"})
            client.send("unknown", 5, lambda: ask(f"{url}/answer?status=404"), {"404"})
            client.send("broken_off", 2, lambda: ask(f"{url}/break"), {"502"}, at_once=1)
            client.send("timed_out", 4, lambda: ask(f"{url}/answer?seconds=4"), {"504"})
            client.send("dead", 3, lambda: ask(f"{url}/dead"), {"503"}, at_once=1)
            client.send("cancelled", 4, lambda: ask(f"{url}/answer?seconds=1.5", patience=0.4), {GAVE_UP})
            time.sleep(3)
            with ThreadPoolExecutor(24) as pool:
                seen = list(pool.map(lambda _: ask(f"{url}/answer?seconds=1"), range(24)))
            client.sort({"200": "slow", "503": "refused"}, seen)
            time.sleep(1)
            after = metrics()
        print(client.counted)
        Recording(
            "http-haproxy", f"HAProxy {version_of(root, 'haproxy')} (Debian)", "http", client.counted,
            {
                "requests_total": "good + slow + cancelled + failed + broken_off + timed_out + dead + refused",
                "errors_total": "failed + broken_off + timed_out + dead + refused",
            },
            {"unknown": "the client's own fault"},
            parameters={
                "metric": "haproxy_backend_http_responses_total", "code": "code", "bad": "5xx", "all": "[235]xx",
            },
            notes=["a client that gives up is 2xx when the server answers later, without `option abortonclose`"],
        ).write(before, after, KEPT)  # fmt: skip


if __name__ == "__main__":
    main()
