# Two commands on a fresh machine: `make demo` and `make test`. Both do all set-up themselves.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(HOME)/.cache/model-rollouts
export ROLLOUTS_CACHE ?= $(CACHE)
UV_VERSION := 0.13.9
UV := $(CACHE)/tools/uv-$(UV_VERSION)/bin/uv
RUN := $(UV) run --frozen --all-extras
PYTHON ?= python3
WITH_CLUSTER := $(PYTHON) -m scripts.cluster run --

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@echo "Installing uv $(UV_VERSION) into $(dir $(@D))"
	@$(PYTHON) -m venv $(dir $(@D)) && $(dir $(@D))bin/pip install --quiet uv==$(UV_VERSION)

.PHONY: setup
setup: $(UV) ## Install the project and its tools into .venv, from the lock file
	@$(UV) sync --frozen --all-extras --quiet

.PHONY: demo
demo: setup ## The main job on real parts: train, roll out, promote, roll back
	@$(WITH_CLUSTER) $(RUN) python -m scripts.demo

.PHONY: test
test: ## Everything that CI runs
	@scripts/test.sh

.PHONY: unit
unit: setup ## Unit tests only (no I/O, seconds)
	@$(RUN) pytest tests/unit

.PHONY: api
api: setup ## API tests on a real kube-apiserver
	@$(RUN) pytest tests/api -n 3 --dist worksteal

.PHONY: e2e
e2e: setup ## End-to-end tests with real pods
	@$(WITH_CLUSTER) $(RUN) pytest tests/e2e -n 4 --dist worksteal

.PHONY: lint
lint: setup ## ruff, mypy strict, import-linter, generated files up to date
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) lint-imports
	@$(RUN) python -m rollout_operator crd | diff -u crds/modelrollouts.yaml - || { echo "crds/modelrollouts.yaml is stale: run 'make crd'"; exit 1; }

.PHONY: format
format: setup ## Format the code
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

.PHONY: crd
crd: setup ## Generate crds/ from the pydantic models
	@$(RUN) python -m rollout_operator crd > crds/modelrollouts.yaml

.PHONY: cluster
cluster: setup ## Bring a cluster up, with operator, Traefik, Prometheus, MLflow and models:/iris/1, and leave it
	@$(PYTHON) -m scripts.cluster up >/dev/null
	@$(WITH_CLUSTER) $(RUN) python -m scripts.demo.seed
	@$(PYTHON) -m scripts.cluster env

.PHONY: cluster-down
cluster-down: ## Remove the cluster: processes, mounts, network and all
	@$(PYTHON) -m scripts.cluster down
