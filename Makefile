# Every target does its own set-up: Python >= 3.11 and make are all it takes.
#
#   make demo                     train on the digits over 8 virtual devices
#   make test                     all tests but the slow ones
#   make test PYTHON=python3.12   the same on another interpreter

PYTHON ?= python3
WORKERS ?= 2

SHELL := /bin/bash
VERSION := $(shell $(PYTHON) -c 'import platform as p; print(p.python_version())' 2>/dev/null)
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(VERSION)
RUN = runs/demo-$(shell date +%Y%m%d-%H%M%S)
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: demo test test-all check bench format clean

demo: $(STAMP)
	$(BIN)/diamondc run examples/digits.diamond --out $(RUN)

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks

format: $(STAMP)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# The environment is made anew when the interpreter, the lock or pyproject.toml changes.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Diamond needs Python 3.11 or newer: $(PYTHON) is $(or $(VERSION),not there)." >&2; \
	  echo "Name another one: make $(or $(MAKECMDGOALS),demo) PYTHON=..." >&2; \
	  exit 2; }
	@echo "installing into $(VENV) for Python $(VERSION)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Runs are results, so they stay.
clean:
	rm -rf .venv .venv-* .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf build dist diamondc.egg-info
	find . -path ./runs -prune -o -name __pycache__ -prune -exec rm -rf {} +
