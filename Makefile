# The daily commands; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help setup lint types contracts generate verify unit model chart monitoring gitops workflows contract \
	integration e2e test demo demo-federation demo-commserver bench image measure-image lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: .venv/.ready ## make the virtual environment

.venv/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: set PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@echo "installing the Python packages into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup ## style and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

contracts: setup ## who may import whom
	$(BIN)/lint-imports

generate: setup ## CRDs, reference pages and much of the chart, from the models
	$(BIN)/python tools/generate.py

verify: setup ## generated files are up to date
	$(BIN)/python tools/generate.py --check

unit: setup ## the rules, without a cluster
	$(PYTEST) tests/unit $(SIDE_BY_SIDE) --dist worksteal

model: setup ## every story of small worlds, with the rules as they are
	$(PYTEST) tests/model $(SIDE_BY_SIDE) --dist worksteal

chart: setup ## the Helm chart, without a cluster
	$(PYTEST) tests/chart

monitoring: setup ## alerts and dashboard, judged by promtool
	$(PYTEST) tests/monitoring

gitops: setup ## what Argo CD, Flux and kustomize make of our objects, by their own evaluators
	$(PYTEST) tests/gitops

workflows: setup ## the workflows for GitHub, judged by actionlint, and what a release says
	$(PYTEST) tests/workflows

contract: setup ## CRDs and admission on a real API server
	$(PYTEST) tests/contract

integration: setup ## the operator on a real control plane
	$(PYTEST) tests/integration $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder

e2e: setup ## the image, and the operator as a pod: on the cluster of KUBECONFIG, on kind, or on nodes of its own
	$(PYTEST) tests/e2e

test: lint types contracts verify unit model chart monitoring gitops workflows contract integration ## what must be green

demo: setup ## three offices on a real control plane; KEEP=1 leaves it running
	@$(BIN)/python tools/demo.py $(if $(KEEP),--keep)

demo-federation: setup ## two clusters, and a link between them
	@$(BIN)/python tools/demo_federation.py

demo-commserver: setup ## boxes that connect, and a cloud that is told about them; KEEP=1 leaves it running
	@PYTHONPATH=tests $(BIN)/python tools/demo_commserver.py $(if $(KEEP),--keep)

IMAGE := build/pbx-operator.tar
IMAGE_SOURCES := pyproject.toml requirements/runtime.txt tools/build_image.py $(wildcard tools/image/*.py) \
	$(shell find src -name '*.py')

image: $(IMAGE) ## the container image, as an OCI archive; needs Debian 12, but no container engine

$(IMAGE): $(IMAGE_SOURCES) | setup
	@$(BIN)/python tools/build_image.py --output $@

measure-image: $(IMAGE) ## how long the image's commands take to start; needs root
	@$(BIN)/python tools/measure_image.py $(IMAGE)

bench: setup ## the figures of docs/benchmarks.md
	$(BIN)/python tools/bench.py

LOCK := $(BIN)/uv pip compile --quiet --no-header --python-version 3.11 --generate-hashes --no-emit-index-url

lock: setup ## resolve the dependencies anew
	$(LOCK) --universal --upgrade --group dev pyproject.toml --output-file requirements/dev.txt
	$(LOCK) --python-platform linux --constraint requirements/dev.txt --no-annotate pyproject.toml \
		--output-file requirements/runtime.txt
	printf 'hatchling\npip\n' | $(LOCK) --constraint requirements/dev.txt --no-annotate --allow-unsafe - \
		--output-file requirements/build.txt

clean: ## remove what the commands made here
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build
