#!/usr/bin/env bash
# smoke.sh URL [DIST]: the service at URL is alive and ready, and is the version of the chart in DIST.
set -euo pipefail
url=${1%/}
ask() { curl --fail --silent --show-error --max-time 10 --retry 5 --retry-all-errors --retry-delay 2 "$url$1"; }
ask /health > /dev/null && echo "alive"
ask /ready > /dev/null && echo "ready"
[ $# -ge 2 ] || exit 0
charts=("$2"/ecpmon-*.tgz)
wanted=$(basename "${charts[0]}" .tgz)
found=ecpmon-$(ask /openapi.json | python3 -c 'import json, sys; print(json.load(sys.stdin)["info"]["version"])')
[ "$found" = "$wanted" ] || { echo "$url is $found, not $wanted" >&2; exit 1; }
echo "$found"
