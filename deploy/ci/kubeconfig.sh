# Sourced: where KUBECONFIG_TEXT is set, a file with it that only we can read, gone at the end.
if [ -n "${KUBECONFIG_TEXT:-}" ]; then
  KUBECONFIG=$(umask 077 && mktemp)
  KUBECONFIG_MADE=$KUBECONFIG
  trap 'rm -f "$KUBECONFIG_MADE"' EXIT
  printf '%s\n' "$KUBECONFIG_TEXT" > "$KUBECONFIG"
  export KUBECONFIG
  unset KUBECONFIG_TEXT
fi
