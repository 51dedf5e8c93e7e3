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
CRDS := crds/modelrollouts.yaml charts/rollout-operator/files/modelrollouts.yaml
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
	@$(RUN) pytest tests/unit -n 2 --dist worksteal

.PHONY: api
api: setup ## API tests on a real kube-apiserver
	@$(RUN) pytest tests/api -n 3 --dist worksteal

.PHONY: browser
browser: setup ## The dashboard in a real browser; installs Debian's Chromium where it is missing
	@$(RUN) pytest tests/browser -n 2 --dist loadscope

.PHONY: faults
faults: setup ## A sample of test-faults, as CI runs it
	@$(RUN) pytest tests/faults -n 3 --dist worksteal

.PHONY: test-faults
test-faults: setup ## All faults of eight stories; 40 minutes; writes build/faults.json
	@FAULTS=all $(RUN) pytest tests/faults -n 3 --dist worksteal

.PHONY: notebooks
notebooks: setup ## Execute the notebooks
	@$(RUN) pytest tests/notebooks -n 2

.PHONY: e2e
e2e: setup ## End-to-end tests with real pods
	@$(WITH_CLUSTER) $(RUN) pytest tests/e2e -n 4 --dist worksteal

.PHONY: lint
lint: setup ## Code, types, imports, shell, workflows, generated files, form of documents
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) lint-imports
	@$(RUN) shellcheck -x .ci/run $$(git ls-files '*.sh')
	@$(RUN) zizmor $(if $(GH_TOKEN),,--offline) --quiet .github
	@for copy in $(CRDS); do \
	  $(RUN) python -m rollout_operator crd | diff -u $$copy - || \
	  { echo "$$copy is stale: run 'make crd'"; exit 1; }; done
	@$(RUN) python -m scripts.docs check

.PHONY: format
format: setup ## Format the code
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

.PHONY: crd
crd: setup ## Generate crds/ and the chart's copy from the pydantic models
	@$(RUN) python -m rollout_operator crd | tee $(CRDS) >/dev/null

.PHONY: docs
docs: setup ## Generate pages of docs/reference from code, and the schema for editors
	@$(RUN) python -m scripts.docs write

.PHONY: pictures
pictures: setup ## Draw the pictures of the documents from their texts; needs Graphviz
	@$(RUN) python -m scripts.docs pictures

.PHONY: recording
recording: setup ## Record `kubectl modelrollout get iris -w` as docs/pictures/recording.svg
	@$(WITH_CLUSTER) $(RUN) python -m scripts.recording

.PHONY: golden
golden: setup ## Write anew what the charts render, for tests to compare with
	@$(RUN) python -m tests.support.charts

.PHONY: cluster
cluster: setup ## A cluster with operator, Traefik, Prometheus, MLflow, models:/iris/1
	@$(PYTHON) -m scripts.cluster up >/dev/null
	@$(WITH_CLUSTER) $(RUN) python -m scripts.demo.seed
	@$(PYTHON) -m scripts.cluster env

.PHONY: cluster-down
cluster-down: ## Remove the cluster: processes, mounts, network and all
	@$(PYTHON) -m scripts.cluster down

.PHONY: bench-traffic
bench-traffic: setup ## Load through both routers during rollouts, with the operator killed
	@$(WITH_CLUSTER) $(RUN) python -m tests.bench.traffic

.PHONY: bench-lone
bench-lone: setup ## One rollout alone, 20 promotions under load through each router; PROMOTIONS=20; half an hour
	@$(WITH_CLUSTER) $(RUN) python -m tests.bench.lone $(if $(PROMOTIONS),--promotions $(PROMOTIONS))

.PHONY: bench-autoscaling
bench-autoscaling: setup ## 21 trials under autoscalers with load x 10; half an hour
	@$(PYTHON) -m scripts.cluster run --with metrics-server -- \
	  $(RUN) python -m tests.bench.autoscaling

.PHONY: bench-routers
bench-routers: setup ## One rollout through each router, with lags; writes docs/reference/routers.md
	@$(PYTHON) -m scripts.cluster run --with envoy -- $(RUN) python -m tests.bench.routers
	@$(RUN) python -m scripts.docs write

.PHONY: bench-smoke
bench-smoke: setup ## A small run of bench-operator, as CI runs it: counts of requests
	@$(RUN) pytest tests/bench

.PHONY: bench-inference
bench-inference: setup ## The model server beside others; ONLY=probes for a part
	@$(RUN) python -m tests.bench.inference $(if $(ONLY),--only $(ONLY))

.PHONY: bench-shadow
bench-shadow: setup ## What copies of requests cost stable's users, beside none; 6 minutes
	@$(RUN) python -m tests.bench.shadow

.PHONY: test-models
test-models: setup ## Answers beside scikit-learn's: 144 kinds of models, 6 of data; minutes
	@$(RUN) python -m tests.bench.inference.models

.PHONY: test-clients
test-clients: setup ## Answers to KServe's and MLServer's own clients, from environments of theirs
	@$(RUN) python -m tests.clients

.PHONY: test-stores
test-stores: setup ## Models fetched from real S3, Azure, Google and OCI servers, here and by pods
	@$(WITH_CLUSTER) $(RUN) pytest tests/stores

.PHONY: test-release
test-release: setup ## Files, charts, signatures; the quick start word for word; ONLY=newcomer
	@PATH="$(dir $(UV)):$$PATH" $(WITH_CLUSTER) $(RUN) --group release pytest tests/release $(if $(ONLY),-k $(ONLY))

.PHONY: test-gitops
test-gitops: setup ## Argo CD and Flux themselves apply models from Git; HOLD=30m watches them at rest meanwhile
	@$(RUN) pytest tests/gitops $(if $(HOLD),--hold $(HOLD) -n 2 --dist loadfile)

.PHONY: test-upgrade
test-upgrade: setup ## From the release before to this one and back, under load; 10 minutes
	@PATH="$(dir $(UV)):$$PATH" $(WITH_CLUSTER) $(RUN) pytest tests/upgrade

.PHONY: rehearse-release
rehearse-release: setup ## Build, publish, sign and install a whole release on this machine
	@PATH="$(dir $(UV)):$$PATH" scripts/steps/release.sh --dry-run

.PHONY: bench-operator
bench-operator: setup ## What one operator costs with 50, 200 and 1,000 rollouts
	@$(RUN) python -m tests.bench.operator

.PHONY: bench-peers
bench-peers: setup ## Beside Argo Rollouts and Flagger; builds both; ROLLOUTS=1,50,200; an hour
	@$(RUN) python -m tests.bench.peers $(if $(ROLLOUTS),--rollouts $(ROLLOUTS)) \
	  $(if $(BEFORE),--before $(BEFORE))

.PHONY: test-prometheus
test-prometheus: setup ## Verdicts by each way to Prometheus, and to VictoriaMetrics; minutes
	@$(RUN) pytest tests/prometheus

.PHONY: test-busy
test-busy: setup ## Half an hour beside 20 busy processes: does the liveness probe hold?
	@$(RUN) python -m tests.bench.operator.busy

.PHONY: bench-gates
bench-gates: setup ## Gates beside Argo Rollouts' and Flagger's rules; writes their plot
	@$(RUN) python -m tests.bench.gates $(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-dashboard
bench-dashboard: setup ## 1,000 rollouts and 20 viewers: time, size, memory, requests; 10 minutes
	@$(RUN) python -m tests.bench.dashboard

.PHONY: screenshots
screenshots: setup ## Pictures of the dashboard's pages for docs/pictures, by Chromium
	@$(RUN) python -m tests.browser.screenshots
