#!/usr/bin/env bash
# Step "release": build what is published for the tag, into dist/. usage: release.sh vX.Y.Z
# The tag must name the version of pyproject.toml and of the operator's chart, and CHANGELOG.md must
# have a section for it.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

tag=${1:-}
[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail 2 "'$tag' is no version: a release's tag is like v1.2.3."
version=${tag#v}
grep -qx "version = \"$version\"" pyproject.toml ||
  fail 1 "pyproject.toml has another version than $tag."
for chart in charts/*/Chart.yaml; do
  grep -qx "version: \"\?$version\"\?" "$chart" || fail 1 "$chart has another version than $tag."
done
notes=$(awk -v heading="## [$version]" \
  'index($0, "## [") == 1 {on = index($0, heading) == 1; next} on' CHANGELOG.md)
[[ -n ${notes//[[:space:]]/} ]] || fail 1 "CHANGELOG.md has no section [$version]."
rm -rf dist && mkdir -p build
uv build --quiet
for chart in charts/*/; do helm package "$chart" --destination dist; done
cp crds/modelrollouts.yaml dist/
printf '%s\n' "$notes" >build/notes.md
(cd dist && sha256sum -- * >SHA256SUMS)
