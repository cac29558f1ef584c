# Every command a person needs. `make` alone shows them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# Rewritten when the lock changes: then, and only then, the environment is installed again.
INSTALLED := $(VENV)/installed-from.lock
LOCAL := $(PYTHON) -W ignore -m deploy.local
PYTEST := $(PYTHON) -m pytest -m "not long"
TYPED := services/refusals.py $(wildcard services/*/rules*.py) $(wildcard services/*/contract*.py)

# What takes parts of the platform away, holds them up or times them.
OUTAGES := $(wildcard tests/system/test_alarms*.py) $(patsubst %,tests/system/test_%.py,outages poison operating no_oracle)

.PHONY: help up down url status test tests-of-parts tests-of-records tests-of-services tests-of-the-platform tests-of-outages test-long lint bench demo population load parked replay reconcile archive log clean setup started

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: setup ## Install what is missing and start the whole platform; again at any time
	@$(LOCAL) up

down: ## Stop everything; nothing is lost
	@if [ -x $(PYTHON) ]; then $(LOCAL) down; else echo "Nothing was ever started here."; fi

url: started ## Print the gateway's address
	@$(LOCAL) url

status: started ## Show each part, its process and its log
	@$(LOCAL) status

test: setup lint ## Run every test, on a platform of its own, and take it down
	@$(PYTHON) -m deploy.local.packages
	@$(if $(ARGS),$(PYTEST) $(ARGS),$(MAKE) -j4 --output-sync=target tests-of-services tests-of-the-platform tests-of-outages tests-of-records tests-of-parts)

# Four platforms side by side: much of each one's time is waiting. Each tells what it found when it is done; the fifth,
# which takes the least time, begins when the first is.
tests-of-parts:
	@$(PYTEST) --ignore=tests/system --ignore=tests/services tests

tests-of-records:
	@$(PYTEST) tests/services/test_dossier*.py tests/services/test_documents*.py

tests-of-services:
	@$(PYTEST) --ignore-glob='*/test_dossier*.py' --ignore-glob='*/test_documents*.py' tests/services

tests-of-the-platform:
	@$(PYTEST) $(addprefix --ignore=,$(OUTAGES)) tests/system

tests-of-outages:
	@$(PYTEST) $(OUTAGES)

test-long: setup ## Run the tests again in the sizes that take their time
	@$(PYTHON) -m deploy.local.packages
	@$(PYTHON) -m pytest --long --timeout=3600 $(ARGS)

lint: setup ## Check style (ruff) and the types of rules and contracts (mypy --strict)
	@$(VENV)/bin/ruff check .
	@$(if $(strip $(TYPED)),$(VENV)/bin/mypy --strict $(TYPED))

bench: setup ## Measure; ONLY=rpc,deposit for a part, SIZE=small|full
	@$(PYTHON) -m deploy.bench $(if $(ONLY),--only $(ONLY)) $(if $(SIZE),--size $(SIZE))

demo: setup ## Play one patient's journey against the running platform
	@$(PYTHON) -m deploy.demo

population: started ## Invent a country and load it into the directory; SIZE=small|full
	@$(LOCAL) population $(SIZE)

load: started ## Load FILE=… of KIND=patients|professionals|establishments; ARGS="--open-records"
	@$(LOCAL) load $(KIND) $(FILE) $(ARGS)

parked: started ## List the events, messages and subscriptions that failed for good
	@$(LOCAL) parked

replay: started ## Give what is parked its tries again; SERVICE=name for one service
	@$(LOCAL) replay $(SERVICE)

reconcile: started ## Prove that every reading that was answered has exactly its one trace
	@$(LOCAL) reconcile

archive: started ## Put the traces of a year that is over into the object store; YEAR=2025
	@$(LOCAL) archive $(YEAR)

log: started ## Export the log of accesses and check it against the witness; FIRST=position to begin at
	@$(LOCAL) log $(FIRST)

clean: ## Remove caches; DATA=yes also stops the platform and deletes its data
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	@if [ "$(DATA)" = yes ] && [ -e .run ]; then $(MAKE) down; real=$$(readlink -f .run); rm -rf .run "$$real"; echo "The platform's data is deleted."; fi

setup: $(INSTALLED)

started:
	@[ -x $(PYTHON) ] || { echo "Nothing was ever started here: make up" >&2; exit 1; }

$(INSTALLED): requirements.lock
	@deploy/local/environment.sh $(VENV)
	@cp requirements.lock $@
