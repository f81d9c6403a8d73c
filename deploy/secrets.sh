#!/bin/sh
# secrets.sh [FOLDER]: makes what compose.yaml mounts as secrets; what is there stays as it is.
set -eu
folder=${1:-$(dirname "$(readlink -f "$0")")/secrets}
# Nobody else comes into the folder. Files are read by the users inside the containers, whose numbers differ.
mkdir -p "$folder"
chmod 0700 "$folder"

made() { # NAME VALUE
    [ -e "$folder/$1" ] || { printf %s "$2" > "$folder/$1"; chmod 0444 "$folder/$1"; }
}
random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

for name in postgres_password ecpmon_sql_password ecpmon_sql_demo_password ecpmon_sql_reader_password \
    ecpmon_webhook_secret grafana_admin_password; do
    made $name "$(random)"
done
password=$(cat "$folder/postgres_password")
made ecpmon_database_url "postgresql://ecpmon:$password@postgres:5432/ecp_orchestrator"
made ecpmon_demo_database_url "postgresql://ecpmon:$password@postgres-demo:5432/ecp_orchestrator_demo"
# Filled when the service runs, see docs/howto/compose.md.
[ -e "$folder/alertmanager_token" ] || { : > "$folder/alertmanager_token"; chmod 0644 "$folder/alertmanager_token"; }
