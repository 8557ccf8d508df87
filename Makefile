# The two commands of the README, and what they are made of. Python 3.11 or newer is all that a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

WEB := $(shell find dashboard/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: up setup test check mutants bench secrets lock clean

up: setup ## set everything up, then run the whole ground segment on this machine
	@exec $(BIN)/ground up $(ARGS)

test: setup ## set everything up, then run the whole suite
	@$(BIN)/python -m pytest $(ARGS)

setup: $(VENV)/.ready ## set up .venv: locked packages, this project, and the page

$(VENV)/.packages: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, this is {v.major}.{v.minor}: make setup PYTHON=/path/to/python3")'
	@echo "Setting up $(VENV): a minute or two, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/.ready: $(VENV)/.packages pyproject.toml hatch_build.py $(WEB)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## style, types and the one-way imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

mutants: setup ## break one mechanism at a time: which test notices?
	@$(BIN)/python -m tests.promises.mutants

bench: setup ## every benchmark that this machine can run, and what it lacks for the others
	@$(BIN)/python -m benchmarks $(ARGS)

secrets: ## random passwords for docker compose, where there are none yet
	@mkdir -p secrets && chmod 700 secrets
	@for name in mqtt_password influxdb_password influxdb_token dashboard_password; do \
		test -s secrets/$$name || $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(24))' > secrets/$$name; done

lock: ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml --output-file requirements.lock

clean: ## remove what the above made; data/ stays
	rm -rf $(VENV) dashboard/web/dist dashboard/web/node_modules
