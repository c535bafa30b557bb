# Two commands for a newcomer: `make demo` and `make test`. Everything else is for who builds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-long lint bench sim mutate lock clean

demo: $(RUN_READY)
	$(BIN)/mgsnode demo

test: $(DEV_READY)
	$(BIN)/python -m pytest

test-long: $(DEV_READY)
	$(BIN)/python -m pytest --long

lint: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(DEV_READY)
	$(BIN)/python -m bench transfer

sim: $(DEV_READY)
	$(BIN)/python -m tests.sim

mutate: $(DEV_READY)
	$(BIN)/python -m tests.sim.mutate

# The lock files carry hashes and name no index; `make lock` makes them anew.
LOCK := $(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
lock: $(DEV_READY)
	$(BIN)/pip install -q pip-tools
	$(LOCK) -o requirements.lock pyproject.toml requirements-build.in
	$(LOCK) --extra cluster -c requirements.lock -o requirements-cluster.lock pyproject.toml requirements-build.in
	$(LOCK) --extra dev --extra cluster -c requirements.lock -c requirements-cluster.lock -o requirements-dev.lock pyproject.toml requirements-build.in

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "MGS needs Python 3.11 or 3.12")'
	$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

$(DEV_READY): requirements-dev.lock $(RUN_READY)
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
