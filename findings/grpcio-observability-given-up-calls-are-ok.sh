#!/bin/sh
# grpcio-observability 1.85.0 with grpcio 1.85.0: on the server, calls that ran into their deadline and calls that their
# client cancelled are counted with grpc_status="OK", and latencies have no bucket between 0 and 5 s.
#
# `grpc.server.call.duration` is the one metric from which rates of errors and latencies of a gRPC server are made. Its
# clients saw 5 good calls, one refused with RESOURCE_EXHAUSTED, three that ran into their deadline of 0.3 s and four
# cancelled after 0.3 s: 5 of 13 good. The server says 12 of 13. The histogram counts in seconds and has the default bounds
# of OpenTelemetry, which are meant for milliseconds (the specification of gRPC asks for some from 0.01 ms to 100 s). Seen:
#
#   clients saw: {'OK': 5, 'RESOURCE_EXHAUSTED': 1, 'DEADLINE_EXCEEDED': 3, 'CANCELLED': 4}
#   grpc_server_call_duration_seconds_count: {'OK': 12, 'RESOURCE_EXHAUSTED': 1}
#   its first bounds: ['0.0', '5.0', '10.0']
#
# Fails when any of that changes. Needs Python 3.11 or newer with pip.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.0 grpcio-observability==1.85.0 opentelemetry-exporter-prometheus==0.66b2

cat >finding.py <<'EOF'
import os
import sys
import time
from concurrent import futures

import grpc
import grpc_observability
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY

grpc_observability.OpenTelemetryPlugin(
    meter_provider=MeterProvider(metric_readers=[PrometheusMetricReader()])
).register_global()


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


server = grpc.server(futures.ThreadPoolExecutor(8))
handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acme.Answering", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
stub = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/acme.Answering/Answer")

seen = [call(stub, b"0") for _ in range(5)] + [call(stub, b"refuse")]
seen += [call(stub, b"1", deadline=0.3) for _ in range(3)] + [call(stub, b"1", cancel_after=0.3) for _ in range(4)]
clients = {code: seen.count(code) for code in dict.fromkeys(seen)}


def measured():
    counted, bounds = {}, []
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == "grpc_server_call_duration_seconds_count":
                counted[sample.labels["grpc_status"]] = int(sample.value)
            if sample.name == "grpc_server_call_duration_seconds_bucket" and sample.labels["grpc_status"] == "OK":
                bounds.append(sample.labels["le"])
    return counted, bounds[:3]


for _ in range(60):  # they are handed over once in some seconds
    counted, bounds = measured()
    if sum(counted.values()) >= len(seen):
        break
    time.sleep(1)
print("clients saw:", clients)
print("grpc_server_call_duration_seconds_count:", dict(sorted(counted.items())))
print("its first bounds:", bounds)
server.stop(None)
held = (
    clients == {"OK": 5, "RESOURCE_EXHAUSTED": 1, "DEADLINE_EXCEEDED": 3, "CANCELLED": 4}
    and counted == {"OK": 12, "RESOURCE_EXHAUSTED": 1}
    and bounds == ["0.0", "5.0", "10.0"]
)
sys.stdout.flush()
os._exit(0 if held else 1)  # threads of the libraries outlive the end of the program
EOF
venv/bin/python finding.py
