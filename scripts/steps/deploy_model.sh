#!/usr/bin/env bash
# Step "deploy": apply a ModelRollout with a new MODEL_URI and wait for the verdict.
# usage: deploy_model.sh MANIFEST MODEL_URI [TIMEOUT]
# The manifest holds one ModelRollout; TIMEOUT is like 30m. Nothing else is done to the cluster.
# Output: verdict, rollout, namespace.
# Exit code 0: promoted; 1: rolled back, halted, invalid or stalled (the output says which);
# 2: no verdict in time; 3: superseded; 64 and above: the cluster or the command line is wrong.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/steps/common.sh

manifest=${1:-} model_uri=${2:-} timeout=${3:-30m}
[[ -n $manifest && -n $model_uri ]] ||
  fail 64 "usage: scripts/steps/deploy_model.sh MANIFEST MODEL_URI [TIMEOUT]"
# What is given may come from outside (a dispatch), so that it is read as what it must be and as
# nothing else. What a MODEL_URI is stands in one place: a shell's classes of characters are other
# ones in each locale.
python -c '
import re, sys
from rollout_operator.domain.api.spec import MODEL_URI
sys.exit(not re.fullmatch(MODEL_URI, sys.argv[1]))' "$model_uri" ||
  fail 64 "'$model_uri' is no MODEL_URI: write models:/NAME/VERSION or models:/NAME@ALIAS."
[[ $timeout =~ ^([0-9]+[smh])+$ ]] || fail 64 "'$timeout' is no duration: write, for example, 30m."
[[ $manifest != /* && $manifest != *..* && $manifest != -* && -f $manifest ]] ||
  fail 64 "'$manifest' is no file of this repository."

asked() {
  kubectl patch --local -f "$manifest" --type merge \
    -p "{\"spec\":{\"modelUri\":\"$model_uri\"}}" -o "$1"
}
found=$(asked 'jsonpath={.apiVersion} {.kind} {.metadata.name} {.metadata.namespace}') ||
  fail 64 "$manifest cannot be read; see above."
read -r version kind name namespace rest <<<"$found"
[[ $version == rollouts.mlops.dev/* && $kind == ModelRollout && -n $name && -z $rest &&
  $found != *$'\n'* ]] ||
  fail 64 "$manifest holds something else than one ModelRollout."
where=()
if [[ -n $namespace ]]; then where=(--namespace "$namespace"); fi

asked yaml | kubectl apply --server-side --field-manager deploy-workflow --force-conflicts -f - ||
  fail 77 "The cluster refused $manifest; see above."
mkdir -p build
code=0
kubectl modelrollout status "$name" "${where[@]}" --wait --timeout "$timeout" \
  --model-uri "$model_uri" 2>&1 | tee build/verdict.txt || code=$?
case $code in
0) verdict=Promoted ;;
1) verdict=$(sed -n '$s/^\([A-Z][A-Za-z]*\): .*/\1/p' build/verdict.txt) ;;
2) verdict=TimedOut ;;
3) verdict=Superseded ;;
*) verdict=Unknown ;;
esac
{ printf '### %s: %s, %s\n\n' "$name" "$model_uri" "$verdict" && fenced <build/verdict.txt; } |
  summary
output verdict "$verdict"
output rollout "$name"
output namespace "$namespace"
[[ $code -eq 0 ]] || fail "$code" "$model_uri: $(tail -n 1 build/verdict.txt)"
