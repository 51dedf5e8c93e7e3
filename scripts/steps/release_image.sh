#!/usr/bin/env bash
# Step "image": build one image for this machine's architecture, push it as NAME:VERSION-ARCH, and
# attach its list of parts, signed. usage: release_image.sh NAME vX.Y.Z
# REGISTRY is HOST/PATH of the images; Docker must be logged in there.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

name=${1:-} tag=${2:-}
[[ -f Dockerfile.$name ]] || fail 2 "'$name' is no image: write operator or inference."
[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail 2 "'$tag' is no version: a release's tag is like v1.2.3."
[[ -n ${REGISTRY:-} ]] || fail 2 "REGISTRY is not set: write HOST/PATH of the images."
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail 2 "No image is made for $(uname -m)." ;;
esac
repository=${REGISTRY,,}/$name
reference=$repository:${tag#v}-$arch
docker build --quiet --file "Dockerfile.$name" --platform "linux/$arch" --tag "$reference" \
  --label "org.opencontainers.image.version=${tag#v}" \
  --label "org.opencontainers.image.source=${HOMEPAGE:-}" \
  --label "org.opencontainers.image.revision=${GITHUB_SHA:-}" .
docker push --quiet "$reference"
digest=$(docker inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$reference" |
  grep -F "$repository@" | head -n 1)
mkdir -p build
docker run --rm --network none --entrypoint cat "$reference" /opt/venv/sbom.cdx.json \
  >"build/$name-$arch.cdx.json"
uv run --frozen --only-group release python -m scripts.release parts \
  "${REGISTRY,,}" "$name" "${digest#*@}" "build/$name-$arch.cdx.json"
output digest "${digest#*@}"
