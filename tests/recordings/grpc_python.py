"""A gRPC server in Python with the interceptor of py-grpc-prometheus: calls that end in all the ways a call can."""

from __future__ import annotations

import json
import subprocess

from tests.recordings.driving import (
    Client,
    Recording,
    environment,
    free_port,
    serving,
    settled,
    temporary,
    text_of,
)

PACKAGES = ("grpcio==1.85.1", "py-grpc-prometheus==0.8.0", "prometheus-client==0.26.0", "setuptools<81")
SERVER = """
import sys, time
from concurrent import futures
import grpc
from prometheus_client import start_http_server
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

def answer(request, context):
    seconds, _, code = request.decode().partition(" ")
    time.sleep(float(seconds))
    if code == "raise":
        raise RuntimeError("the model fails")
    if code:
        context.abort(grpc.StatusCode[code], "as asked")
    return b"done"

port, metrics = sys.argv[1:3]
interceptor = PromServerInterceptor(enable_handling_time_histogram=True)
server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=(interceptor,))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acme.Answering", {
    "Answer": grpc.unary_unary_rpc_method_handler(answer),
}),))
server.add_insecure_port(f"127.0.0.1:{port}")
start_http_server(int(metrics), "127.0.0.1")
server.start()
server.wait_for_termination()
"""
CLIENT = """
import json, sys, time
import grpc

port = sys.argv[1]
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
answer = channel.unary_unary("/acme.Answering/Answer")

def call(text, patience=20.0, cancel=None):
    try:
        if cancel is None:
            answer(text.encode(), timeout=patience, wait_for_ready=True)
        else:
            running = answer.future(text.encode())
            time.sleep(cancel)
            running.cancel()
            running.result()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name
    except grpc.FutureCancelledError:
        return "CANCELLED"

print(json.dumps([call(*each) for each in json.loads(sys.stdin.read())]))
"""


def main() -> None:
    with temporary() as folder:
        python = environment(folder, *PACKAGES)
        (folder / "server.py").write_text(SERVER)
        (folder / "client.py").write_text(CLIENT)
        port, exported = free_port(), free_port()

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{exported}/metrics")

        def calls(*each: object) -> list[str]:
            argv = [python, folder / "client.py", str(port)]
            done = subprocess.run(argv, input=json.dumps(each), capture_output=True, text=True, check=True)
            return list(json.loads(done.stdout))

        client = Client()

        def send(name: str, count: int, call: list[object], sees: str) -> None:
            seen = calls(*[call] * count)
            assert set(seen) == {sees}, (name, seen)
            client.counted[name] = count

        argv = [python, folder / "server.py", str(port), str(exported)]
        with serving(argv, folder, lambda: bool(metrics())):
            calls(["0"])
            before = settled(metrics, "grpc_server_handled")
            send("good", 40, ["0"], "OK")
            send("slow", 4, ["0.5"], "OK")
            send("raised", 3, ["0 raise"], "UNKNOWN")
            send("internal", 2, ["0 INTERNAL"], "INTERNAL")
            send("unavailable", 2, ["0 UNAVAILABLE"], "UNAVAILABLE")
            send("exhausted", 2, ["0 RESOURCE_EXHAUSTED"], "RESOURCE_EXHAUSTED")
            send("not_found", 5, ["0 NOT_FOUND"], "NOT_FOUND")
            send("invalid", 5, ["0 INVALID_ARGUMENT"], "INVALID_ARGUMENT")
            send("deadline", 3, ["1.5", 0.3], "DEADLINE_EXCEEDED")
            send("cancelled", 3, ["1.5", 20, 0.3], "CANCELLED")
            after = settled(metrics, "grpc_server_handled", 3)
        print(client.counted)
        Recording(
            "grpc-python", "grpcio 1.85.1 with py-grpc-prometheus 0.8.0", "grpc", client.counted,
            {
                "requests_total": "good + slow + raised + internal + unavailable + exhausted",
                "errors_total": "raised + internal + unavailable + exhausted",
                # The histogram has no code.
                "fast_total": "good + raised + internal + unavailable + exhausted + not_found + invalid",
                "timed_total": "good + slow + raised + internal + unavailable + exhausted + not_found + invalid"
                " + deadline + cancelled",
            },
            {
                "not_found": "the client's own fault", "invalid": "the client's own fault", "cancelled": "CANCELLED",
                "deadline": "CANCELLED as well: the server does not tell a call that ran out of time from one given up",
            },
        ).write(before, after, "grpc_server_(handled|started|handling_seconds).*")  # fmt: skip


if __name__ == "__main__":
    main()
