# `make run` and `make test` set everything up by themselves; they need Python >= 3.11, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests share nothing, so they run side by side: one more at once than there are processors, since some only wait.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# The lock files name everything: nothing is resolved anew, so that a release of today cannot break an old lock. And
# most of it is never imported: what is gets compiled then.
PIP := python -m pip install -q --disable-pip-version-check --no-deps --no-compile
INSTALL := $(BIN)/$(PIP)
# Where bytecode must not be written, every one of the hundreds of processes of the tests would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check check-deploy prove bench format lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run ## five simulated upstreams, a gateway, one invoice to each; then stays up
	@$(BIN)/invoice-gateway demo $(ARGS)

test: $(VENV)/.dev $(VENV)/.prometheus ## every test, with coverage
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -q --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report --include='gateway/core/*,mappings/*' --fail-under=100 --format=total >/dev/null \
	  || { $(BIN)/coverage report --include='gateway/core/*,mappings/*'; echo 'core and mappings: want 100 %'; exit 1; }
	@total=$$($(BIN)/coverage report --fail-under=95 --format=total) || { echo "coverage: $$total %, want 95 %"; exit 1; }; \
	  echo "coverage: core and mappings 100 %, all $$total %"

check: $(VENV)/.dev ## formatting, lint, types
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check-deploy: $(VENV)/.checkov ## the manifests against a catalogue of good practice (checkov: 300 MB, a minute to install)
	@for overlay in deploy/kubernetes/overlays/*/; do $(BIN)/kubectl kustomize $$overlay >$(VENV)/manifests.yaml && \
	  $(VENV)/checkov/bin/checkov -f $(VENV)/manifests.yaml --config-file deploy/checkov.yaml || exit 1; done

prove: $(VENV)/.dev ## never twice, never lost: hours of kills, outages and seeds; ARGS="--help" says how to have less
	@$(BIN)/python -W error -m tests.proof $(ARGS)

bench: $(VENV)/.dev ## what an invoice costs here and at the alternatives, on this machine; ARGS="--short" takes minutes
	@$(BIN)/python -m tests.bench $(ARGS)

format: $(VENV)/.dev ## put the code into its form
	@$(BIN)/ruff check -q --fix . || true
	@$(BIN)/ruff format .

lock: $(VENV)/.dev ## resolve the dependencies anew
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra build --extra postgres --extra otel pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra build --extra postgres --extra otel --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@for tool in cyclonedx-bom checkov; do echo $$tool | $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header - -o deploy/$$tool.lock; done

clean: ## remove what was made
	rm -rf $(VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.venv:
	@echo 'setting up $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.venv requirements.lock pyproject.toml
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip check -q
	@touch $@

# The tests ask a real Prometheus: the machine's, or else Debian's package, unpacked here and not installed.
$(VENV)/.prometheus: $(VENV)/.venv
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { cd $(VENV) \
	  && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb prometheus && rm prometheus_*.deb \
	  && ln -sf ../prometheus/usr/bin/prometheus ../prometheus/usr/bin/promtool bin/; } \
	  || { echo 'the tests need prometheus and promtool; on Debian: apt-get update, as root'; exit 1; }
	@touch $@

# It has a hundred requirements of its own, and wants an older `packaging` than ours.
$(VENV)/.checkov: $(VENV)/.dev deploy/checkov.lock
	@$(PYTHON) -m venv $(VENV)/checkov
	@$(VENV)/checkov/bin/$(PIP) --require-hashes -r deploy/checkov.lock
	@touch $@
