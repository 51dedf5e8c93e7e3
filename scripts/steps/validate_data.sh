#!/usr/bin/env bash
# Step "validate": hold raw data against its contract.
# usage: validate_data.sh [FILE.csv ...]   (by default: all of data/raw)
# Reports: build/data/NAME.html.
# Exit code 0: all meet their contract; 1: at least one does not; 2: one cannot be read.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh
shopt -s nullglob

files=("$@")
if [[ $# -eq 0 ]]; then files=(data/raw/*.csv); fi
[[ ${#files[@]} -gt 0 ]] || fail 2 "data/raw has no CSV file: put one there, or name a file."

worst=0
for file in "${files[@]}"; do
  name=$(basename "$file" .csv)
  code=0
  report=$(python -m rollout_trainer validate "$file" --html "build/data/$name.html" 2>&1) ||
    code=$?
  printf '%s\n' "$report"
  { printf '### %s\n\n' "$file" && fenced <<<"$report"; } | summary
  if [[ $code -gt $worst ]]; then worst=$code; fi
done
exit "$worst"
