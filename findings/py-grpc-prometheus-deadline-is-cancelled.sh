#!/bin/sh
# py-grpc-prometheus 0.8.0 with grpcio 1.85.1: a call that runs into its deadline is counted as CANCELLED, like one that its
# client gave up, and codes are spelt as Python does (RESOURCE_EXHAUSTED), not as the Go library does (ResourceExhausted).
#
# Both expose `grpc_server_handled_total{grpc_code}`, so rules and dashboards for the one are used for the other. An
# expression with `grpc_code=~"Unknown|Internal|Unavailable|DeadlineExceeded|ResourceExhausted"` finds no error at all
# here, and one that is spelt right still misses every call that was too slow for its client. Of 12 calls six are good, two
# are refused with RESOURCE_EXHAUSTED, two run into their deadline of 0.3 s, and two are cancelled after 0.3 s. Seen:
#
#   clients saw: {'OK': 6, 'RESOURCE_EXHAUSTED': 2, 'DEADLINE_EXCEEDED': 2, 'CANCELLED': 2}
#   grpc_server_handled_total: {'CANCELLED': 4, 'OK': 6, 'RESOURCE_EXHAUSTED': 2}
#
# Fails when any of that changes. Needs Python 3.11 or newer with pip.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1 py-grpc-prometheus==0.8.0 prometheus-client==0.26.0 'setuptools<81'

cat >finding.py <<'EOF'
import sys
import time
from concurrent import futures

import grpc
from prometheus_client import REGISTRY
from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor


def answer(request, context):
    if request == b"refuse":
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    time.sleep(float(request))
    return b"done"


def call(stub, text, deadline=20.0, cancel_after=None):
    """The code that the client saw."""
    running = stub.future(text, timeout=deadline)
    if cancel_after is not None:
        time.sleep(cancel_after)
        running.cancel()
    try:
        running.result()
        return "OK"
    except grpc.FutureCancelledError:
        return "CANCELLED"
    except grpc.RpcError as error:
        return error.code().name


server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=(PromServerInterceptor(),))
handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acme.Answering", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
stub = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/acme.Answering/Answer")

seen = [call(stub, b"0") for _ in range(6)] + [call(stub, b"refuse") for _ in range(2)]
seen += [call(stub, b"1", deadline=0.3) for _ in range(2)] + [call(stub, b"1", cancel_after=0.3) for _ in range(2)]
time.sleep(2)
counted = {
    sample.labels["grpc_code"]: int(sample.value)
    for family in REGISTRY.collect()
    for sample in family.samples
    if sample.name == "grpc_server_handled_total"
}
clients = {code: seen.count(code) for code in dict.fromkeys(seen)}
print("clients saw:", clients)
print("grpc_server_handled_total:", dict(sorted(counted.items())))
server.stop(None)
held = clients == {"OK": 6, "RESOURCE_EXHAUSTED": 2, "DEADLINE_EXCEEDED": 2, "CANCELLED": 2} and counted == {
    "OK": 6, "RESOURCE_EXHAUSTED": 2, "CANCELLED": 4
}
sys.exit(0 if held else 1)
EOF
venv/bin/python finding.py
