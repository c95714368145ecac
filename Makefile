# One word for each thing that is done often; `make` alone lists them.
# VENV=path uses the tools of a virtual environment that is not active.
.DEFAULT_GOAL := help
.PHONY: help install test slow lint format types docs oldest ci

BIN := $(if $(VENV),$(VENV)/bin/,)
# Several processes of several threads each would compete for the cores.
export OMP_NUM_THREADS ?= 1

help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

install: ## Install the checkout with everything the tests need
	$(BIN)python -m pip install -e ".[test,docs]"

test: ## Run the default tests (under 5 minutes)
	$(BIN)python -m pytest

slow: ## Run the slow tests (under 45 minutes)
	$(BIN)python -m pytest -m slow

lint: ## Check format and style
	$(BIN)ruff format --check .
	$(BIN)ruff check .

format: ## Format and mend what can be mended
	$(BIN)ruff format .
	$(BIN)ruff check --fix .

types: ## Check types
	$(BIN)mypy

docs: ## Build the documentation; a warning is an error
	$(BIN)python -m sphinx -W --keep-going -b html docs docs/_build/html

oldest: ## Write the oldest declared dependencies to oldest.txt, for pip -c
	$(BIN)python tools/oldest_dependencies.py > oldest.txt

ci: ## Run what continuous integration runs, in a fresh environment
	.ci/run
