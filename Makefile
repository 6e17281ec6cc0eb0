# Every target sets itself up: Python 3.11 or newer, make and a network are enough.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
PYTEST_ARGS ?=

# One thread per test process: two processes with two threads each would fight for two cores.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all lint types arrows format setup clean
.DELETE_ON_ERROR:

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## compare agents on the embedded table; print a table and the path of a plot
	$(BIN)/nasgym demo

test: lint ## linters, types, arrows and the quick tests
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-slow: $(STAMP) ## the slow tests alone
	$(BIN)/python -m pytest -n $(WORKERS) -m slow $(PYTEST_ARGS)

test-all: test test-slow ## the quick checks, then the slow tests

lint: $(STAMP) ## style, types and arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types arrows

# Types and arrows are checked on an installed copy, where envs/ and agents/ are nasgym.envs and nasgym.agents.
types: build/site
	cd build/site && ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p nasgym

arrows: build/site
	cd build/site && ../../$(BIN)/lint-imports --config ../../pyproject.toml --cache-dir ../../.import_linter_cache

.PHONY: build/site
build/site: $(STAMP)
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target build/site .

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP) ## make .venv with everything in it

# Installed in place: a change in the source needs no new installation, a change in these three files does.
$(STAMP): pyproject.toml constraints.txt Makefile
	@python=""; for p in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "nasgym needs Python 3.11 or newer; python3 is: $$(python3 --version 2>&1). Name another: make PYTHON=/path/to/python" >&2; \
	  exit 1; fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "making $(VENV) with $$($$python --version)"; \
	  $$python -m venv --clear $(VENV) || { rm -rf $(VENV); \
	    echo "Python's venv module failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@# uv is quick but does not read pip's configuration (a mirror, a proxy): where it fails, pip takes over.
	@# The mode writes a plain path: with the finder that is the default, Python started in the folder that holds the
	@# checkout would take the checkout itself, if it is called nasgym, for an empty package.
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -C editable_mode=compat -e '.[dev]' \
	  || $(BIN)/python -m pip install --quiet -c constraints.txt -C editable_mode=compat -e '.[dev]'
	@touch $(STAMP)

clean: ## remove everything that make and the tools made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
