# Every job of the project, the same here and in CI. Needs Python 3.11 or newer and make; the rest is brought along.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE := $(wildcard src tests bench examples docs_src tools)
LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup tools demo lint types floors test bench lock changelog format clean
.DELETE_ON_ERROR:

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(VENV)/.installed ## the environment, in .venv
tools: .tools/npm/.installed .tools/old-sdk/.installed ## other people's servers and the conformance suite, in .tools

# The hashed lock first (it is complete, hence --no-deps), then this package alone: nothing unlocked is ever resolved.
$(VENV)/.locked: requirements/dev.txt
	@echo "setup: installing requirements/dev.txt into $(VENV)"
	@"$(PYTHON)" -c 'import sys; sys.exit("setup: Python 3.11 or newer is needed; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes -r $<
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

.tools/npm/.installed: tools/npm/package.json tools/npm/package-lock.json tools/npm_parts.py | $(VENV)/.installed
	@echo "tools: installing tools/npm into .tools/npm"
	@$(BIN)/python tools/npm_parts.py .tools
	@touch $@

.tools/old-sdk/.installed: requirements/old-sdk.txt | $(VENV)/.installed
	@echo "tools: installing requirements/old-sdk.txt into .tools/old-sdk"
	@"$(PYTHON)" -m venv .tools/old-sdk
	@.tools/old-sdk/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r $<
	@touch $@

demo: setup ## the main job, on the bundled sample servers
	@$(BIN)/python -m dragoman.demo

lint: setup ## style, and whether everything is formatted
	@echo "lint: ruff"
	@$(BIN)/ruff format --check --quiet $(CODE)
	@$(BIN)/ruff check --quiet $(CODE)

types: setup ## pyright, strict
	@echo "types: pyright"
	@$(BIN)/pyright

floors: setup ## imports only go down
	@echo "floors: import-linter"
	@$(BIN)/lint-imports --no-cache --no-logo

# Without a network the parts in .tools may be missing: their tests then say so and skip. Under CI that is a failure.
test: setup ## everything that has to pass
	@$(MAKE) --no-print-directory --keep-going tools || { test -z "$$CI" && echo "tools: not complete; the tests that need them will skip"; }
	@$(MAKE) --no-print-directory lint types floors
	@$(BIN)/python -m pytest

bench: setup ## Dragoman beside its peers, in one run
	@$(BIN)/python -m bench

lock: setup ## resolve anew; writes requirements/*.txt and tools/npm/package-lock.json
	@$(BIN)/uv pip compile $(LOCKED) --upgrade pyproject.toml --group dev --extra keyring --extra telemetry -o requirements/dev.txt
	@$(BIN)/uv pip compile $(LOCKED) --upgrade requirements/old-sdk.in -o requirements/old-sdk.txt
	@$(BIN)/python tools/npm_parts.py --lock

changelog: setup ## gather changelog.d/ into CHANGELOG.md: make changelog VERSION=0.2.0
	@$(BIN)/towncrier build --yes $(if $(VERSION),--version $(VERSION))

format: setup ## rewrite the code as lint wants it
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

clean: ## remove all that make made
	rm -rf $(VENV) .tools .bench dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
