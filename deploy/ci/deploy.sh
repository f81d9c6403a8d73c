#!/usr/bin/env bash
# deploy.sh DIST: install or upgrade to the chart in DIST, with the image REPOSITORY@DIGEST in NAMESPACE. What does not become
# ready within ten minutes is rolled back by helm, and this fails.
set -euo pipefail
dist=$1
: "${NAMESPACE:?the namespace}" "${REPOSITORY:?of the image, without a tag}" "${DIGEST:?of the image, sha256:…}"
[[ $DIGEST =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "DIGEST is no sha256:…: a tag may be moved" >&2; exit 2; }
. "$(dirname "$0")/kubeconfig.sh"
(cd "$dist" && sha256sum --check --strict --quiet SHA256SUMS)
charts=("$dist"/ecpmon-*.tgz)
[ ${#charts[@]} -eq 1 ] || { echo "$dist has ${#charts[@]} charts" >&2; exit 2; }
helm upgrade --install ecpmon "${charts[0]}" --namespace "$NAMESPACE" --reset-then-reuse-values --atomic \
  --wait --timeout 10m --set-string image.repository="$REPOSITORY" --set-string image.digest="$DIGEST"
