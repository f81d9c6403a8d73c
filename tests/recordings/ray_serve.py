"""Ray Serve's HTTP proxy: good, slow, failed, answered with 503, timed out, refused when full, given up."""

from __future__ import annotations

import time
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

VERSION = "2.60.0"
KEPT = (
    "ray_serve_(num_http_(error_)?requests.*|http_request_latency_ms.*|deployment_(request|error)_counter.*)"
)
SERVER = """
import asyncio, sys, time
import ray
from ray import serve
from starlette.responses import Response

port, metrics = map(int, sys.argv[1:3])
ray.init(num_cpus=2, include_dashboard=False, _metrics_export_port=metrics, object_store_memory=100 * 2**20,
         _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 2})

@serve.deployment(max_ongoing_requests=8, max_queued_requests=4, ray_actor_options={"num_cpus": 0.1})
class Answering:
    async def __call__(self, request):
        seconds = float(request.query_params.get("seconds", 0))
        if seconds < 0:
            raise RuntimeError("the model fails")
        await asyncio.sleep(seconds)
        return Response("done", int(request.query_params.get("status", 200)))

serve.run(Answering.bind(), route_prefix="/answer")
while True:
    time.sleep(1)
"""


HIDDEN = {r'(SessionName|NodeAddress|WorkerId)="[^"]*"': r'\1="x"', ',otel_scope_[a-z_]*="[^"]*"': ""}
OF = "ray_serve_num_http_requests"


def recording(client: Client) -> Recording:
    all_of_them = "good + slow + failed + unavailable + timed_out + refused"
    return Recording(
        "ray-serve", f"Ray Serve {VERSION}", "ray-serve", client.counted,
        {
            "requests_total": all_of_them, "errors_total": "failed + unavailable + timed_out + refused",
            "fast_total": "good", "timed_total": all_of_them,
        },
        {"cancelled": "a client that gives up is 499", "unknown": "the client's own fault"},
        threshold=1000,
    )  # fmt: skip


def main() -> None:
    with temporary() as folder:
        python = environment(folder, f"ray[serve]=={VERSION}")
        (folder / "server.py").write_text(SERVER)
        port, exported = free_port(), free_port()
        url = f"http://127.0.0.1:{port}/answer"
        env = {
            "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(folder), "RAY_TMPDIR": str(folder / "ray"),
            # A busy machine is no reason to give up.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
        }  # fmt: skip

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{exported}/metrics")

        def there() -> bool:
            return ask(url) == "200" and "ray_serve_num_http_requests" in metrics()

        with serving([python, folder / "server.py", str(port), str(exported)], folder, there, env):
            before = settled(metrics, OF, 12)
            client = Client()

            def send(
                query: str, count: int, names: dict[str, str], patience: float = 20.0, at_once: int = 2
            ) -> None:
                """What times out on a busy machine is counted as that."""
                with ThreadPoolExecutor(at_once) as pool:
                    seen = pool.map(lambda _: ask(f"{url}?{query}", patience=patience), range(count))
                    client.sort(names, list(seen))

            send("seconds=0", 40, {"200": "good", "408": "timed_out"})
            send("seconds=1.3", 5, {"200": "slow", "408": "timed_out"})
            send("seconds=-1", 3, {"500": "failed"}, at_once=1)
            send("status=503", 3, {"503": "unavailable"}, at_once=1)
            send("status=404", 5, {"404": "unknown"}, at_once=1)
            send("seconds=4", 4, {"408": "timed_out"})
            send("seconds=1.5", 4, {GAVE_UP: "cancelled"}, patience=0.5)
            time.sleep(4)
            send("seconds=1.3", 24, {"200": "slow", "503": "refused", "408": "timed_out"}, at_once=24)
            after = settled(metrics, OF, 12)
        print(client.counted)
        recording(client).write(before, after, KEPT, HIDDEN)


if __name__ == "__main__":
    main()
