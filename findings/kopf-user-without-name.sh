#!/usr/bin/env bash
# One would guess: an operator without peering (standalone) has no use for a name of its own, and
# runs under any number that a pod's securityContext, or OpenShift, gives it as its user.
# What happens: kopf builds an identity of the user's name at every start, and where the number has
# no name in the image, KeyError from getpwuid ends the operator before its startup handlers. With
# POD_ID in the environment, or kopf.run(identity=), it starts.
# Versions: kopf 1.45.2, Python 3.11. 2026-12-01. Needs Linux, whose unshare (util-linux 2.38) makes
# such a user; no cluster is asked.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python kopf==1.45.2
venv/bin/python -c 'from importlib.metadata import version; print("kopf", version("kopf"))'
cat >stops.py <<'PYTHON'
import json
import sys
import threading

import kopf

stop = threading.Event()


@kopf.on.startup()
def started(**_):
    print("started")
    stop.set()


try:
    kopf.run(standalone=True, clusterwide=True, stop_flag=stop, **json.loads(sys.argv[1]))
except KeyError as failed:
    print("ends with", failed)
PYTHON
run() { # what is given to kopf.run, variables of the environment
  given=$1
  shift
  env -i "$@" unshare --user --map-user=65532 venv/bin/python stops.py "$given" 2>log
}
try() { # what is stated, a name for it, arguments for run
  stated=$1 name=$2
  shift 2
  said=$(run "$@") || true
  echo "$name: $said"
  [ "$said" = "$stated" ] || {
    tail -n 3 log
    echo "changed: '$stated' was stated"
    exit 1
  }
}
try "ends with 'getpwuid(): uid not found: 65532'" 'user 65532' '{}'
try started 'with POD_ID' '{}' POD_ID=mine
try started 'with identity' '{"identity": "mine"}'
