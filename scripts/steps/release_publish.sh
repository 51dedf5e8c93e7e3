#!/usr/bin/env bash
# Step "publish": join the images of all architectures, push the charts of dist/, and sign all of it
# and dist/SHA256SUMS. usage: release_publish.sh vX.Y.Z
# REGISTRY and HOMEPAGE as for release.sh; Docker must be logged in at REGISTRY.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

tag=${1:-}
[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail 2 "'$tag' is no version: a release's tag is like v1.2.3."
[[ -n ${REGISTRY:-} ]] || fail 2 "REGISTRY is not set: write HOST/PATH of images and charts."
[[ -f dist/SHA256SUMS ]] || fail 2 "dist/ has no release: run scripts/steps/release.sh first."
uv run --frozen --only-group release python -m scripts.release publish \
  "${tag#v}" "${REGISTRY,,}" "${HOMEPAGE:-}"
