#!/bin/sh
# install.sh [--root DIR] [WHEEL]: puts ecpmon where its units look for it. With a wheel it makes the environment in
# /opt/ecpmon as well. What is in /etc is left as it is. `--root`: for packages and images, below another folder.
set -eu
root=
if [ "${1:-}" = --root ]; then root=$2; shift 2; fi
here=$(dirname "$(readlink -f "$0")")

for unit in "$here"/system/*; do
    install -D -m 0644 "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
done
install -D -m 0644 "$here/sysusers.d/ecpmon.conf" "$root/usr/lib/sysusers.d/ecpmon.conf"
install -D -m 0644 "$here/tmpfiles.d/ecpmon.conf" "$root/usr/lib/tmpfiles.d/ecpmon.conf"
if [ ! -e "$root/etc/ecpmon/ecpmon.env" ]; then
    install -D -m 0644 "$here/ecpmon.env" "$root/etc/ecpmon/ecpmon.env"
fi
if [ -n "${1:-}" ]; then
    python3 -m venv "$root/opt/ecpmon"
    "$root/opt/ecpmon/bin/pip" install --quiet --disable-pip-version-check "$1"
fi
if [ -z "$root" ]; then
    systemd-sysusers ecpmon.conf
    systemd-tmpfiles --create ecpmon.conf
    systemctl daemon-reload
fi
