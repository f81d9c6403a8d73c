#!/bin/sh
# From a new tenant to its SLA, by curl alone.
#
#   ECP_API_URL     http://localhost:8001/api/v1
#   ECP_API_TOKEN   a token; none is needed where ECPMON_AUTH=none
#   TENANT_ID       what it shall be called
#   DEMO            true: in the demo database, where nothing real is deployed
set -eu
API=${ECP_API_URL:-http://localhost:8001/api/v1}
TENANT_ID=${TENANT_ID:-my-ai-service}
DEMO=${DEMO:-false}

# Prints the answer and fails with it when it is no success.
ecp() {
  method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body -X "$method" "$API$path" \
    -H "X-Demo-Mode: $DEMO" ${ECP_API_TOKEN:+-H "Authorization: Bearer $ECP_API_TOKEN"} "$@"
}
json() { ecp "$1" "$2" -H 'Content-Type: application/json' -d "$3"; }

echo "== what it would need"
json POST /tenants/calculate-resources '{
  "service_requirements": {"callbot": 100, "chatbot": 200, "advisor": 50},
  "sla_target": {"availability": "99.95%", "response_time": "150ms"}}'

echo; echo "== a tenant"
json POST /tenants/ '{
  "tenant_id": "'"$TENANT_ID"'", "name": "내 AI 서비스", "preset": "large",
  "service_requirements": {"callbot": 50, "chatbot": 100, "advisor": 25},
  "sla_target": {"availability": "99.9%", "response_time": "200ms"}}'

echo; echo "== its manifest, and what is to be said about it"
ecp GET "/tenants/$TENANT_ID/manifest?format=yaml&include_monitoring=true" -o manifest.yaml
ecp GET "/tenants/$TENANT_ID/manifest?format=json" -o manifest.json
json POST /tenants/validate-manifest '{"tenant_id": "'"$TENANT_ID"'", "strict_validation": true,
  "manifest_content": "apiVersion: v1\nkind: Namespace\nmetadata: {name: ecp-ai-'"$TENANT_ID"'}\n"}'

echo; echo "== measurements, in and out"
json POST "/tenants/$TENANT_ID/monitoring" '{
  "metrics": {"cpu_usage": 65.5, "memory_usage": 78.2, "gpu_usage": 85.0, "request_count": 1250, "response_time": 145.8}}'
ecp GET "/tenants/$TENANT_ID/monitoring?metric_type=cpu&hours=24&interval=5m"

echo; echo "== an alert rule"
json POST "/tenants/$TENANT_ID/alerts" '{
  "alert_name": "high_cpu_usage", "condition": "cpu_usage > 80", "duration": "5m",
  "actions": [{"type": "email", "recipients": ["admin@company.com"]}]}'

echo; echo "== its SLA"
ecp GET "/tenants/$TENANT_ID/sla?windows=1h,24h,30d"
ecp GET "/simulator/sla/$TENANT_ID/analysis?period=24h"

echo; echo "== everybody"
ecp GET '/tenants/?skip=0&limit=100'
