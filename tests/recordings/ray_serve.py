"""Ray Serve's HTTP proxy: good, slow, failed, answered with 503, timed out, refused when full, given up."""

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
            before = settled(metrics, "ray_serve_", 12)
            client = Client()
            client.send("good", 40, lambda: ask(url), {"200"})
            client.send("slow", 6, lambda: ask(f"{url}?seconds=0.6"), {"200"})
            client.send("failed", 3, lambda: ask(f"{url}?seconds=-1"), {"500"}, at_once=1)
            client.send("unavailable", 3, lambda: ask(f"{url}?status=503"), {"503"}, at_once=1)
            client.send("unknown", 5, lambda: ask(f"{url}?status=404"), {"404"}, at_once=1)
            client.send("timed_out", 4, lambda: ask(f"{url}?seconds=4"), {"408"})
            client.send("cancelled", 4, lambda: ask(f"{url}?seconds=1.5", patience=0.4), {GAVE_UP})
            with ThreadPoolExecutor(30) as pool:
                seen = list(pool.map(lambda _: ask(f"{url}?seconds=1"), range(30)))
            client.sort({"200": "slow", "503": "refused", "408": "timed_out"}, seen)
            after = settled(metrics, "ray_serve_", 12)
        print(client.counted)
        Recording(
            "ray-serve", f"Ray Serve {VERSION}", "ray-serve", client.counted,
            {
                "requests_total": "good + slow + failed + unavailable + timed_out + refused",
                "errors_total": "failed + unavailable + timed_out + refused",
                "fast_total": "good",
                "timed_total": "good + slow + failed + unavailable + timed_out + refused",
            },
            {"cancelled": "", "unknown": "the client's own fault"},
        ).write(
            before, after, KEPT,
            {r'(SessionName|NodeAddress|WorkerId|NodeId|JobId|ActorId|pid)="[^"]*"': r'\1="x"'},
        )  # fmt: skip


if __name__ == "__main__":
    main()
