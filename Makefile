# Everything that a fresh checkout can do. Needs Python 3.11, 3.12 or 3.13, make and git; nothing else.

.DEFAULT_GOAL := help
.PHONY: help venv dev-venv demo demo-once demo-data clean-demo compose-env test soak lint format bench requirements clean

RUNTIME := .venv/.runtime-installed
DEVELOPMENT := .venv/.development-installed
PYTHON_FOLDERS := plugins dags tests $(wildcard benchmarks)

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(RUNTIME) ## make .venv with Airflow, the embedded PostgreSQL and the pyelt command

dev-venv: $(DEVELOPMENT) ## the same with what tests and checks need

$(RUNTIME): requirements.txt pyproject.toml
	.ci/make-venv requirements.txt
	@touch $@

$(DEVELOPMENT): requirements.txt requirements-dev.txt pyproject.toml
	.ci/make-venv requirements.txt requirements-dev.txt
	@touch $(RUNTIME) $@

demo: $(RUNTIME) ## start everything, load the sample, show it, stay until Ctrl-C
	@.venv/bin/pyelt demo

demo-once: $(RUNTIME) ## the same without staying; fails unless every run and every row is right
	@.venv/bin/pyelt demo --once

demo-data: $(RUNTIME) ## write only the sample's deliveries
	@.venv/bin/pyelt demo-data

clean-demo: ## stop a running demo and remove all that demos made (.pyelt or PYELT_HOME)
	@if [ -x .venv/bin/pyelt ]; then .venv/bin/pyelt demo --clean; else rm -rf "$${PYELT_HOME:-.pyelt}"; fi

# The tests of one file stay together: some files share a running Airflow.
test: $(DEVELOPMENT) ## run all tests
	.venv/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

soak: $(DEVELOPMENT) ## kill everything at random while nights load, as long as asked (PYELT_SOAK_MINUTES, .._NIGHTS, .._SEED)
	@PYTHONPATH=plugins:tests .venv/bin/python -m soak

lint: $(DEVELOPMENT) ## check format, lint and types
	.venv/bin/ruff format --check $(PYTHON_FOLDERS)
	.venv/bin/ruff check $(PYTHON_FOLDERS)
	.venv/bin/mypy --strict plugins
	.venv/bin/mypy --strict dags

format: $(DEVELOPMENT) ## format the code and mend what can be mended
	.venv/bin/ruff format $(PYTHON_FOLDERS)
	.venv/bin/ruff check --fix $(PYTHON_FOLDERS)

bench: $(DEVELOPMENT) ## measure speed and memory (takes minutes)
	.venv/bin/python -m benchmarks

compose-env: ## write .env with new secrets for docker-compose.yaml
	@.ci/make-env

UV_COMPILE = uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make requirements"

requirements: ## pin the newest versions that fit together (needs uv)
	$(UV_COMPILE) --upgrade requirements.in --output-file requirements.txt
	$(UV_COMPILE) --upgrade requirements-dev.in --output-file requirements-dev.txt

clean: clean-demo ## remove everything that make has made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache dist build
