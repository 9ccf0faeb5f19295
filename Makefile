# Two commands on a fresh machine: `make demo` and `make test`. Everything else is for those who change bevara.
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo test check format lint types layers bench image lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing: system packages, Python packages, veraPDF
	@docker/setup.sh dev

demo: ## preserve a set of samples, and say where the report is
	@docker/setup.sh runtime
	@$(BIN)/python -m tests.demo

test: setup ## all tests, on real files and real tools
	@$(BIN)/python -m pytest

check: setup format lint types layers test ## what CI runs

format:
	@$(BIN)/ruff format --check .

lint:
	@$(BIN)/ruff check .

types:
	@$(BIN)/mypy

layers:
	@$(BIN)/lint-imports --no-cache

bench: setup ## speed and memory beside the yardstick; writes build/bench.json
	@$(BIN)/python -m tests.bench

image: setup ## build the container image and run a job in it (needs podman, runc, debootstrap; see docker/README.md)
	@docker/image.sh

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra traces \
	  --group pyproject.toml:dev pyproject.toml --upgrade --output-file requirements.lock

clean: ## remove what was built (not the archives that you made)
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
