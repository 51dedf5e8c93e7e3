#!/usr/bin/env bash
# Step "release": build what is published for the tag, into dist/. usage: release.sh vX.Y.Z
# release.sh --dry-run: build, publish, sign and install all of it on this machine, with a registry
# of its own; --only-here after it leaves out what is for other machines, --kubeconfig FILE installs
# on a cluster of `make cluster`, too.
# release.sh --check vX.Y.Z: see whether the tag names the version that the checkout has, and whether
# CHANGELOG.md has a section for it; what is built for a tag is checked so first.
# REGISTRY is HOST/PATH of images and charts, HOMEPAGE the project's URL.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

tag=${1:-}
if [[ $tag == --dry-run ]]; then
  shift
  rm -rf dist
  exec uv run --frozen --only-group release python -m scripts.release rehearse "$@"
fi
checked=false
if [[ $tag == --check ]]; then
  checked=true tag=${2:-}
fi
[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail 2 "'$tag' is no version: a release's tag is like v1.2.3."
version=${tag#v}
if ! $checked; then
  [[ -n ${REGISTRY:-} ]] || fail 2 "REGISTRY is not set: write HOST/PATH of images and charts."
  [[ -n ${HOMEPAGE:-} ]] || fail 2 "HOMEPAGE is not set: write the project's URL."
fi
told=$(python3 scripts/release/version.py check "$version") || fail 1 "$told"
grep -q "^## \[$version\]" CHANGELOG.md || fail 1 "CHANGELOG.md has no section [$version]."
if $checked; then
  exit
fi
rm -rf dist
uv run --frozen --only-group release python -m scripts.release build \
  "$version" "${REGISTRY,,}" "$HOMEPAGE"
