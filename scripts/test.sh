#!/usr/bin/env bash
# Everything that CI runs, in order of cost. The cluster's first build (about 20 minutes) goes on
# beside the quick checks.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${ROLLOUTS_CACHE:=$HOME/.cache/model-rollouts}"
export ROLLOUTS_CACHE
log="$(mktemp)"
python="${PYTHON:-python3}"

"$python" -m scripts.cluster build >"$log" 2>&1 &
build=$!
trap 'kill "$build" 2>/dev/null || true; rm -f "$log"' EXIT

step() { printf '\n== %s\n' "$1"; }

step "lint: ruff, mypy, import-linter, generated files"
make --no-print-directory lint
step "unit tests"
make --no-print-directory unit
step "notebooks"
make --no-print-directory notebooks
step "cluster: waiting for what is being built"
tail -n +1 -f "$log" --pid="$build" 2>/dev/null || true
wait "$build" || { echo "The cluster could not be built; its output is above." >&2; exit 1; }
step "API tests on a real kube-apiserver"
make --no-print-directory api
step "the dashboard in a real browser"
make --no-print-directory browser
step "a sample of the injected faults (make test-faults has all)"
make --no-print-directory faults
step "what many rollouts cost: a small run of the benchmark"
make --no-print-directory bench-smoke
step "end-to-end tests with real pods"
make --no-print-directory e2e
step "all checks passed"
