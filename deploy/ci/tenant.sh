#!/usr/bin/env bash
# tenant.sh TENANT: its manifest from the service at ECPMON_URL, checked by the cluster, applied, waited for, and how it went
# reported to the service, also when it failed. IS_DEMO=true: of the demo database.
set -euo pipefail
tenant=$1
: "${ECPMON_URL:?where the service is}" "${ECPMON_TOKEN:?a token of role operator}"
# It comes from outside, and becomes part of URLs and selectors.
[[ $tenant =~ ^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$ ]] || { echo "no name of a tenant: ${tenant@Q}" >&2; exit 2; }
. "$(dirname "$0")/kubeconfig.sh"
folder=$(mktemp -d)
base=${ECPMON_URL%/}/api/v1/tenants/$tenant
# Not as an argument, which every process of the machine can read.
printf 'header = "Authorization: Bearer %s"\n' "$ECPMON_TOKEN" > "$folder/token"
unset ECPMON_TOKEN
ask() {
  curl --fail --silent --show-error --max-time 60 --config "$folder/token" --header "X-Demo-Mode: ${IS_DEMO:-false}" "$@"
}
ended() {
  local code=$? status=completed
  [ $code -eq 0 ] || status=failed
  [ -z "${begun:-}" ] || ask --request POST --header 'Content-Type: application/json' --output /dev/null \
    --data "{\"status\": \"$status\", \"deployed_at\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}" "$base/deployment-status" || code=1
  rm -rf "$folder" ${KUBECONFIG_MADE:+"$KUBECONFIG_MADE"}
  exit $code
}
trap ended EXIT
ask --output "$folder/manifest.yaml" "$base/manifest"
begun=yes
kubectl apply --dry-run=client --filename "$folder/manifest.yaml" > /dev/null
kubectl apply --filename "$folder/manifest.yaml"
kubectl wait --for=condition=available --timeout=600s deployment --selector "ecp.ai/tenant=$tenant" \
  --namespace "ecp-ai-$tenant"
