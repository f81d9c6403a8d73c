#!/bin/sh
# schemathesis 4.32.5: a stream of YAML documents in one answer ends the fuzzing, which is reported as passed.
#
# `application/yaml` with several documents, as manifests are served, is read as one document. That raises in the thread
# which makes the tests, and the traceback goes to stderr. Operations that come afterwards are never asked. The phase
# shows as passed, "No issues found" stands at the end, and the exit code is 0: a check in a pipeline stays green. Only
# "Skipped: 5" says that something is missing. Here one of ten operations answers with two documents, and the others
# with `{}`. Seen:
#
#   Fuzzing: 5 passed, tested 5, skipped 5, no issues found, exit code 0
#   on stderr: ComposerError
#   never asked: /b5 /b6 /b7 /b8
#
# Fails when any of that changes. Needs Python 3.11 or newer with pip.
set -eu

folder=$(mktemp -d)
server=""
cleanup() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check schemathesis==4.32.5

cat >server.py <<'PYTHON'
import json
import os
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STREAM = "/b4-stream"
NUMBERED = [f"/b{number}" for number in range(9)]


def operation(media_type):
    return {
        "get": {
            "parameters": [{"name": "n", "in": "query", "schema": {"type": "integer"}}],
            "responses": {"200": {"description": "ok", "content": {media_type: {"schema": {}}}}},
        }
    }


PATHS = {path: operation("application/json") for path in NUMBERED} | {STREAM: operation("application/yaml")}
DOCUMENT = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": dict(sorted(PATHS.items()))}
asked = Counter()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/openapi.json":
            self.answer("application/json", json.dumps(DOCUMENT))
        elif path == "/never-asked":
            self.answer("text/plain", " ".join(p for p in sorted(PATHS) if not asked[p]))
        elif path == STREAM:
            asked[path] += 1
            self.answer("application/yaml", "kind: Service\n---\nkind: Deployment\n")
        else:
            asked[path] += 1
            self.answer("application/json", "{}")

    def answer(self, media_type, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as file:
    file.write(str(server.server_address[1]))

os.rename("port.new", "port")
server.serve_forever()
PYTHON

python3 server.py &
server=$!
tries=0
while [ ! -f port ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "the server did not start"; exit 1; }
    sleep 0.1
done
url="http://127.0.0.1:$(cat port)"

code=0
venv/bin/schemathesis run "$url/openapi.json" --phases fuzzing --mode positive --max-examples 5 --seed 1 \
    >out 2>err || code=$?

expect() {
    grep -q -- "$1" "$2" || { echo "$2 has no '$1' any more:"; cat "$2"; exit 1; }
}
[ "$code" -eq 0 ] || { echo "the exit code is $code now"; exit 1; }
expect "5 passed" out
expect "Tested: 5" out
expect "Skipped: 5" out
expect "No issues found" out
expect "ComposerError" err
never=$(python3 -c "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())" \
    "$url/never-asked")
[ "$never" = "/b5 /b6 /b7 /b8" ] || { echo "never asked: '$never'"; exit 1; }

echo "Fuzzing: 5 passed, tested 5, skipped 5, no issues found, exit code 0"
echo "on stderr: ComposerError"
echo "never asked: $never"
