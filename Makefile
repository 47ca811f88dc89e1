# One command to a working desk. Needs Python 3.11+ (with venv) and make; everything else comes from the lock file.
#
#   make run      start the server on port 9881 (ARGS="--port 9000 ..." for its options)
#   make examples build the components of the tutorial
#   make test     run the tests (ARGS="tests/wasm -k echo" to choose)
#   make soak     run the crash tests and the simulation in the sizes of a release
#   make lint     ruff, formatting, pyright
#   make format   let ruff put the code in shape
#   make bench    print the benchmarks (ARGS=... to choose)

PYTHON ?= python3
UV_VERSION := 0.13.9
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SYNC := UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --frozen --quiet --inexact

.PHONY: run examples test soak lint bench format clean
.DEFAULT_GOAL := run

run: $(VENV)/.runtime
	$(BIN)/golem-server run $(ARGS)

examples: $(VENV)/.development
	$(BIN)/python examples/build.py

test: $(VENV)/.development
	$(BIN)/python -m pytest $(ARGS)

# The crash tests and the simulation in the sizes of a release: takes an hour.
soak: $(VENV)/.development
	SOAK=1 $(BIN)/python -m pytest -s tests/crash tests/durable/test_simulation.py $(ARGS)

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.development
	$(BIN)/python -m benchmarks $(ARGS)

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "golem-server needs Python 3.11 or newer: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# The runtime alone, so that a first `make run` downloads no test tools; --inexact leaves them where they are.
$(VENV)/.runtime: pyproject.toml uv.lock | $(BIN)/uv
	$(SYNC) --no-dev
	touch $@

$(VENV)/.development: pyproject.toml uv.lock | $(BIN)/uv
	$(SYNC)
	touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
