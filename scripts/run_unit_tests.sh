#!/usr/bin/env bash
# Unit tests: all of them, or what is given (paths and options of pytest, or paths in TESTS).
# Needs uv, or Python 3.11 and make.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  echo "usage: scripts/run_unit_tests.sh [PATH or OPTION of pytest ...]   (by default: tests/unit)"
  exit 0
fi
if [[ $# -eq 0 ]]; then
  read -ra given <<<"${TESTS:-tests/unit}"
  set -- "${given[@]}"
fi
if command -v uv >/dev/null; then
  exec uv run --frozen --all-extras pytest "$@"
fi
make --no-print-directory setup
exec .venv/bin/python -m pytest "$@"
