#!/usr/bin/env bash
# Step "login": let Docker, and with it oras, cosign and Helm, into the registry.
# REGISTRY is HOST/PATH, REGISTRY_USER the user, REGISTRY_PASSWORD the password, which no other
# process can read.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

[[ -n ${REGISTRY:-} ]] || fail 2 "REGISTRY is not set: write HOST/PATH of images and charts."
[[ -n ${REGISTRY_PASSWORD:-} ]] || fail 2 "REGISTRY_PASSWORD is empty: give this job a password."
printf '%s' "$REGISTRY_PASSWORD" |
  docker login --username "${REGISTRY_USER:-}" --password-stdin "${REGISTRY%%/*}"
