#!/usr/bin/env bash
# Step "train": from raw data to a registered model.
# usage: train_model.sh RECIPE.yaml [OPTION of `python -m rollout_trainer train` ...]
# Output: model_uri. Needs MLFLOW_TRACKING_URI.
# Exit code 0: registered; 1: the data or the recipe is refused; 2: a file is wrong.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

recipe=${1:-}
[[ -n $recipe ]] || fail 2 "Name a recipe: scripts/steps/train_model.sh trainer/recipes/iris.yaml"
[[ -f $recipe ]] || fail 2 "$recipe does not exist: name a file of trainer/recipes."
shift
[[ -n ${MLFLOW_TRACKING_URI:-} ]] ||
  fail 2 "MLFLOW_TRACKING_URI is not set: give the MLflow server that the cluster uses."

name=$(basename "$recipe" .yaml)
mkdir -p build

# told TITLE COMMAND ...: run it; what it says is printed and goes to the summary; where it fails,
# so does this step
told() {
  local title=$1 code=0
  shift
  "$@" 2>&1 | tee build/step.log || code=$?
  { printf '### %s\n\n' "$title" && fenced <build/step.log; } | summary
  [[ $code -eq 0 ]] || fail "$code" "$title: $(
    grep -m 1 -E '^Error: |breaks its contract' build/step.log || tail -n 1 build/step.log
  )"
}

if [[ -f data/raw/$name.csv ]]; then
  told "Data of $name" python -m rollout_trainer prepare "data/raw/$name.csv" \
    --html "build/data/$name.html"
fi
told "Training of $name" python -m rollout_trainer train --config "$recipe" \
  --output build/model_uri "$@"
output model_uri "$(<build/model_uri)"
