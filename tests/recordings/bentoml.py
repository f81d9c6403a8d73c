"""BentoML: good, slow, failed, invalid, timed out by the server, refused when it is full, given up by the client."""

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

VERSION = "1.4.40"
SERVER = """
import asyncio
import bentoml

@bentoml.service(workers=1, traffic={"timeout": 2, "max_concurrency": 8})
class Answering:
    @bentoml.api
    async def answer(self, seconds: float) -> str:
        if seconds < 0:
            raise RuntimeError("the model fails")
        await asyncio.sleep(seconds)
        return "done"
"""


def main() -> None:
    with temporary() as folder:
        python = environment(folder, f"bentoml=={VERSION}")
        (folder / "service.py").write_text(SERVER)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "home"), "HOME": str(folder)}

        def asleep(seconds: float, patience: float = 20.0) -> str:
            return ask(f"{url}/answer", {"seconds": seconds}, patience)

        def metrics() -> str:
            return text_of(f"{url}/metrics")

        argv = [
            python,
            "-m",
            "bentoml",
            "serve",
            "service:Answering",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with serving(argv, folder, lambda: asleep(0) == "200", env):
            before = settled(metrics, "bentoml_service_request")
            client = Client()
            client.send("good", 40, lambda: asleep(0), {"200"})
            client.send("slow", 6, lambda: asleep(0.5), {"200"})
            client.send("failed", 3, lambda: asleep(-1), {"500"}, at_once=1)
            client.send("invalid", 5, lambda: ask(f"{url}/answer", {"other": 1}), {"400", "422"}, at_once=1)
            client.send("elsewhere", 5, lambda: ask(f"{url}/nowhere"), {"404"}, at_once=1)
            client.send("probes", 5, lambda: ask(f"{url}/livez"), {"200"}, at_once=1)
            client.send("timed_out", 4, lambda: asleep(4), {"504"})
            client.send("cancelled", 4, lambda: asleep(1.5, patience=0.4), {GAVE_UP})
            settled(metrics, "bentoml_service_request", 3)
            with ThreadPoolExecutor(20) as pool:
                seen = list(pool.map(lambda _: asleep(1), range(20)))
            client.sort({"200": "slow", "429": "refused", "503": "refused", "504": "timed_out"}, seen)
            after = settled(metrics, "bentoml_service_request", 3)
        print(client.counted)
        Recording(
            "bentoml", f"BentoML {VERSION}", "bentoml", client.counted,
            {
                "requests_total": "good + slow + failed + timed_out + refused + cancelled",
                "errors_total": "failed + timed_out + refused",
                "fast_total": "good",
                "timed_total": "good + slow + failed + timed_out + refused + cancelled",
            },
            {"invalid": "the client's own fault", "elsewhere": "another endpoint", "probes": "another endpoint"},
            parameters={"endpoints": "/answer"},
        ).write(before, after, "bentoml_service_request_(total|duration_seconds_.*)")  # fmt: skip


if __name__ == "__main__":
    main()
