#!/usr/bin/env bash
# Step "release": build what is published for the tag, into dist/. usage: release.sh vX.Y.Z
# release.sh --dry-run: build, publish, sign and install all of it on this machine, with a registry
# of its own; --only-here after it leaves out what is for other machines, --kubeconfig FILE installs
# on a cluster of `make cluster`, too.
# The tag must name the version of pyproject.toml and of the charts, and CHANGELOG.md must have a
# section for it. REGISTRY is HOST/PATH of images and charts, HOMEPAGE the project's URL.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

tag=${1:-}
if [[ $tag == --dry-run ]]; then
  shift
  rm -rf dist
  exec uv run --frozen --only-group release python -m scripts.release rehearse "$@"
fi
[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail 2 "'$tag' is no version: a release's tag is like v1.2.3."
[[ -n ${REGISTRY:-} ]] || fail 2 "REGISTRY is not set: write HOST/PATH of images and charts."
[[ -n ${HOMEPAGE:-} ]] || fail 2 "HOMEPAGE is not set: write the project's URL."
version=${tag#v}
grep -qx "version = \"$version\"" pyproject.toml ||
  fail 1 "pyproject.toml has another version than $tag."
for chart in charts/*/Chart.yaml; do
  grep -qx "version: \"\?$version\"\?" "$chart" || fail 1 "$chart has another version than $tag."
done
grep -q "^## \[$version\]" CHANGELOG.md || fail 1 "CHANGELOG.md has no section [$version]."
rm -rf dist
uv run --frozen --only-group release python -m scripts.release build \
  "$version" "${REGISTRY,,}" "$HOMEPAGE"
