"""A FastAPI server with prometheus-fastapi-instrumentator, which vLLM uses as well."""

from __future__ import annotations

import time

from tests.recordings.driving import (
    GAVE_UP,
    Client,
    Recording,
    ask,
    environment,
    free_port,
    serving,
    temporary,
    text_of,
)

PACKAGES = ("fastapi==0.163.2", "uvicorn==0.54.0", "prometheus-fastapi-instrumentator==8.1.0")
SERVER = """
import asyncio, sys
from fastapi import FastAPI, Response
from prometheus_fastapi_instrumentator import Instrumentator
import uvicorn

app = FastAPI()
Instrumentator().instrument(app).expose(app)

@app.get("/answer")
async def answer(seconds: float = 0, status: int = 200):
    if seconds < 0:
        raise RuntimeError("the model fails")
    await asyncio.sleep(seconds)
    return Response("done", status)

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def main() -> None:
    with temporary() as folder:
        python = environment(folder, *PACKAGES)
        (folder / "server.py").write_text(SERVER)
        port = free_port()
        url = f"http://127.0.0.1:{port}/answer"

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{port}/metrics")

        with serving([python, folder / "server.py", str(port)], folder, lambda: ask(url) == "200"):
            before = metrics()
            client = Client()
            client.send("good", 40, lambda: ask(url), {"200"})
            client.send("slow", 6, lambda: ask(f"{url}?seconds=0.7"), {"200"})
            client.send("raised", 3, lambda: ask(f"{url}?seconds=-1"), {"500"})
            client.send("unavailable", 3, lambda: ask(f"{url}?status=503"), {"503"})
            client.send("refused", 3, lambda: ask(f"{url}?status=429"), {"429"})
            client.send("invalid", 5, lambda: ask(f"{url}?seconds=x"), {"422"})
            client.send("elsewhere", 5, lambda: ask(f"http://127.0.0.1:{port}/nowhere"), {"404"})
            client.send("cancelled", 4, lambda: ask(f"{url}?seconds=1.5", patience=0.4), {GAVE_UP})
            time.sleep(3)
            after = metrics()
        print(client.counted)
        Recording(
            "http-fastapi", "FastAPI 0.163.2 with prometheus-fastapi-instrumentator 8.1.0", "http", client.counted,
            {
                "requests_total": "good + slow + cancelled + raised + unavailable",
                "errors_total": "raised + unavailable",
                # The histogram has no status.
                "fast_total": "good + raised + unavailable + refused + invalid",
                "timed_total": "good + slow + cancelled + raised + unavailable + refused + invalid",
            },
            {"elsewhere": "another path"},
            parameters={"code": "status", "bad": "5xx", "all": "[235]xx", "paths": "/answer"}, threshold=0.5,
            notes=["refused (429) and invalid (422) are both 4xx: only the histogram has them"],
        ).write(before, after, "http_requests_total|http_request_duration_(highr_)?seconds.*")  # fmt: skip


if __name__ == "__main__":
    main()
