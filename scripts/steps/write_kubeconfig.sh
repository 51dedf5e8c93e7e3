#!/usr/bin/env bash
# Step "cluster access": put the kubeconfig in $KUBECONFIG_CONTENT into a file that only this job
# can read, and name it to later steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

[[ -n ${KUBECONFIG_CONTENT:-} ]] ||
  fail 2 "The secret KUBECONFIG is empty: store one that may get, list and patch modelrollouts."
umask 077
file=$(mktemp "${RUNNER_TEMP:-/tmp}/kubeconfig.XXXXXX")
printf '%s\n' "$KUBECONFIG_CONTENT" >"$file"
printf 'KUBECONFIG=%s\n' "$file" >>"${GITHUB_ENV:-/dev/stdout}"
