# Short names for what CONTRIBUTING.md describes. `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test tier lint format types house docs coverage-req constraints ci clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: ## virtual environment with the package and what developers need
	$(PYTHON) tools/environment.py .venv --group dev

demo: setup ## a whole migration from sample data to a local sandbox
	$(BIN)/rehouse demo

test: setup ## the default tier of tests
	$(BIN)/pytest -q -n 2 --tier default

tier: ## another tier: make tier TIER=slow
	$(PYTHON) tools/tier.py $(TIER)

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## mypy --strict over the package and the tools
	$(BIN)/mypy --strict
	$(BIN)/mypy --strict tools

house: setup ## import direction, file length, docs
	$(BIN)/pytest -q tests/house

docs: setup ## write the pages that are generated from the code
	$(BIN)/python tools/mapping_docs.py

coverage-req: setup ## requirement id, the tests that prove it, passed / failed / not run
	rm -rf build/requirements
	-REHOUSE_REQ_REPORT=build/requirements $(BIN)/pytest -q -n 2 --tier default
	$(PYTHON) tools/coverage_req.py --results build/requirements

constraints: ## lock every version anew
	$(PYTHON) tools/lock.py

ci: ## everything CI runs
	.ci/run

clean: ## remove environments and caches
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
