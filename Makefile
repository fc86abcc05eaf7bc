# Everything a reader needs, from a fresh clone: `make book` and `make test`.
# Python 3.11, 3.12 or 3.13; nothing but a package index is asked of the network.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Threads that wait sleep: on a shared core spinning costs ten times what it saves. Tests, the book and
# studies see to it themselves; JupyterLab and the benchmarks are started by nobody else.
export OMP_WAIT_POLICY ?= PASSIVE
.DELETE_ON_ERROR:

# The first of these that runs; or say `make PYTHON=/path/to/python3.12 …`.
PYTHON ?= $(or $(firstword $(foreach name,python3.11 python3.12 python3.13,$(shell $(name) -c 'import sys; print(sys.executable)' 2>/dev/null))),python3)
# A package index for torch alone, for instance that of PyTorch's CPU builds; empty: pip's own.
TORCH_INDEX ?=
VENV ?= .venv
PROFILE ?= quick
CHAPTERS ?=
MINUTES ?= 60
URL ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

EXTRAS := book,dev,lab,deepchem,materials,xgboost,your-data
BIN := $(VENV)/bin
CHEMDL := $(BIN)/python -m chemdl
# uv installs, at the versions of constraints.txt; why so stands in the script.
INSTALL := $(BIN)/python .ci/install.py $(if $(TORCH_INDEX),--torch-index '$(TORCH_INDEX)') --editable

.PHONY: help setup book test short lint format lab bench campaigns calibrate record readme address release clean clean-env

help: ## list the targets
	@echo "usage: make TARGET [VARIABLE=value …]"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
	@echo "variables: PYTHON, TORCH_INDEX (an index for torch alone), VENV, PROFILE, CHAPTERS, MINUTES, URL, PYTEST_ARGS, BENCH_ARGS"

setup: $(VENV)/.installed ## make .venv with the pinned packages and this one

# Only where there is none: `make book VENV=$$CONDA_PREFIX` works in the environment that conda made.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else f"Python 3.11, 3.12 or 3.13 is needed, not {sys.version.split()[0]}: make PYTHON=/path/to/python3.11 …")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: apt install python3-venv (Debian, Ubuntu), or make PYTHON=/path/to/another/python3.11 …" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: constraints.txt pyproject.toml .ci/install.py | $(BIN)/python
	@$(INSTALL) '.[$(EXTRAS)]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	@$(INSTALL) '.[$(EXTRAS),bench]' # the peers that benchmarks compare with
	@touch $@

book: setup ## run every chapter in quick, build the site in _build/html, check it
	@$(CHEMDL) book build
	@$(CHEMDL) book check

# A process on every core, a file of tests in one of them. `pytest` alone does the same in one process.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: setup ## run all tests, the chapters' regression in smoke included
	@$(PYTEST) $(PYTEST_ARGS)

# The tests that a new Python or new versions of the packages would fail first; one file a line.
short: setup ## run the tests of about a minute: import, wheel, estimators, one chapter
	@$(PYTEST) @.ci/short.txt $(PYTEST_ARGS)

lint: setup ## ruff, mypy, and notebooks without outputs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/nbstripout --keep-id --verify $(wildcard chapters/*.ipynb)

format: setup ## put code in form and take outputs out of notebooks
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/nbstripout --keep-id $(wildcard chapters/*.ipynb)

lab: setup ## open JupyterLab on the chapters
	@$(BIN)/jupyter lab chapters

bench: $(VENV)/.bench ## measure speed against the peers: JSON and a table in _build/bench
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

campaigns: setup ## try to break it: hostile inputs, kills, determinism, planted faults (an hour)
	@$(BIN)/python -m benchmarks.campaigns

calibrate: setup ## measure the numbers that the regression tests hold (CHAPTERS=…, all without)
	@$(CHEMDL) calibrate $(CHAPTERS)

record: setup ## record what claims lack in the full design (MINUTES=…)
	@$(CHEMDL) record --minutes $(MINUTES)

readme: setup ## renew the README's table of verdicts and its figure from the recorded cards
	@$(CHEMDL) book readme

address: setup ## write the repository's address where it is needed (URL=…)
	@$(BIN)/python .ci/address.py "$(URL)"

# What speaks against it is said before the book is built.
release: setup ## wheel, source archive, the site and their SHA-256 in dist
	@$(BIN)/python .ci/release.py check
	@$(MAKE) --no-print-directory book
	@$(BIN)/python .ci/release.py build

clean: ## remove what was built
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache

clean-env: ## remove .venv
	@rm -rf $(VENV)
