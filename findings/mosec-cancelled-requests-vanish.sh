#!/bin/sh
# mosec 0.9.8: a request that its client gives up leaves no trace in the counter of requests, nor in the histogram.
#
# Clients that gave up are the ones an objective is about, and neither `mosec_service_throughput_total` nor
# `mosec_service_process_duration_second` of the stage `total` has them. What the server itself times out is in the counter,
# as HTTP 408 and not as 5xx, and not in the histogram. So 2xx over all that is not 4xx says 100 % here, where 6 of 10
# clients got their answer. Of ten requests six are good, two are over the time-out of the worker, and two are given up
# by the client after 0.3 s of the one second that they take. Seen:
#
#   clients saw: {'200': 6, '408': 2, 'None': 2}
#   throughput_total grew by: {'200': 6.0, '408': 2.0}
#   process_duration_second_count of the total grew by: 6.0
#
# Fails when any of that changes. Needs Python 3.11 or newer with pip.
set -eu

folder=$(mktemp -d)
server=""
cleanup() {
    if [ -n "$server" ]; then kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mosec==0.9.8 msgspec==0.22.0 defspec==0.7.1 offapi==0.1.4

cat >server.py <<'EOF'
import time

from mosec import Server, Worker


class Sleeper(Worker):
    def forward(self, data):
        time.sleep(data["seconds"])
        return {"slept": data["seconds"]}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Sleeper, num=2, timeout=2)
    server.run()
EOF

cat >finding.py <<'EOF'
import json
import re
import socket
import sys
import time
import urllib.error
import urllib.request

URL = f"http://127.0.0.1:{sys.argv[1]}"


def metrics():
    with urllib.request.urlopen(f"{URL}/metrics", timeout=5) as answer:
        return answer.read().decode()


def ask(seconds, patience=10.0):
    """The status, or None when we gave up."""
    body = json.dumps({"seconds": seconds}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{URL}/inference", body), timeout=patience) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (TimeoutError, socket.timeout):
        return None


def counted(text, pattern):
    return {m[0]: float(m[1]) for m in re.findall(pattern, text)}


for _ in range(600):
    try:
        if ask(0) == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
time.sleep(0.5)
before = metrics()
seen = [ask(0) for _ in range(6)] + [ask(4) for _ in range(2)]
time.sleep(4.5)
seen += [ask(1, patience=0.3) for _ in range(2)]
time.sleep(3)
after = metrics()
codes = r'mosec_service_throughput_total\{[^}]*code="(\d+)"[^}]*\} (\S+)'
totals = r'mosec_service_process_duration_second_count\{[^}]*(stage="total")[^}]*\} (\S+)'


def grown(pattern):
    old = counted(before, pattern)
    return {k: v - old.get(k, 0) for k, v in counted(after, pattern).items() if v != old.get(k, 0)}


print("clients saw:", {str(code): seen.count(code) for code in dict.fromkeys(seen)})
print("throughput_total grew by:", grown(codes))
print("process_duration_second_count of the total grew by:", sum(grown(totals).values()))
held = (
    seen == [200] * 6 + [408] * 2 + [None] * 2
    and grown(codes) == {"200": 6.0, "408": 2.0}
    and sum(grown(totals).values()) == 6
)
sys.exit(0 if held else 1)
EOF

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/python server.py --address 127.0.0.1 --port "$port" >server.log 2>&1 &
server=$!
python3 finding.py "$port" || { tail -n 20 server.log; exit 1; }
