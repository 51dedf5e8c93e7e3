#!/usr/bin/env bash
# One would guess: `pip install model-signing` brings what its commands and its Python API need.
# What happens: version 1.1.1 imports OpenSSL (pyopenssl) wherever anything of it is imported, and
# does not require it: sigstore 4.1 brought it along, 4.2 and later do not. Signing with a plain key,
# which needs nothing of it, ends in ModuleNotFoundError, and so does `model_signing --help`. With
# pyopenssl beside it the same commands work.
# Versions: model-signing 1.1.1, sigstore 4.5.1, pyopenssl 26.4.0. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" model-signing==1.1.1 sigstore==4.5.1
openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem"
mkdir "$work/model"
echo weights >"$work/model/weights"

sign() {
  "$work/venv/bin/model_signing" sign key "$work/model" \
    --private_key "$work/key.pem" --signature "$work/model.sig" 2>&1
}

echo "model-signing 1.1.1, sigstore 4.5.1, alone:"
if said=$(sign); then
  echo "changed: it signs" && exit 1
fi
echo "${said##*$'\n'}"
[[ $said == *"No module named 'OpenSSL'"* ]] || { echo "changed: it fails in another way"; exit 1; }

uv pip install --quiet --python "$work/venv/bin/python" pyopenssl==26.4.0
echo "with pyopenssl 26.4.0:"
sign
[[ -s $work/model.sig ]] || { echo "changed: it does not sign either"; exit 1; }
