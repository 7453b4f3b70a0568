# `make run` shows a bill, `make test` runs the tests, `make check` everything else that must hold before a commit.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# What the contracts are compared with: the newest release, and main until there is one.
BREAKING_AGAINST ?= $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || echo main)

.PHONY: run test check install protos breaking format bench lock clean
.DEFAULT_GOAL := run

run: install
	$(BIN)/ratel quickstart

test: install
	$(BIN)/pytest

check: install breaking
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code --path protos/ratel
	$(BIN)/python protos/generate.py --check
	$(BIN)/deptry src
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	test ! -e deploy/check || PATH="$(CURDIR)/$(BIN):$$PATH" deploy/check

# A folder is compared, not a git reference: that also works in a shallow clone, and passes before the first contract.
breaking: install
	@if git cat-file -e '$(BREAKING_AGAINST):protos/ratel' 2>/dev/null; then \
		old=$$(mktemp -d) && trap 'rm -rf "$$old"' EXIT && \
		git archive '$(BREAKING_AGAINST)' buf.yaml protos | tar -x -C "$$old" && \
		echo 'buf breaking --against $(BREAKING_AGAINST)' && $(BIN)/buf breaking --against "$$old"; \
	else echo 'buf breaking: no contracts in $(BREAKING_AGAINST), nothing to compare with'; fi

protos: install
	$(BIN)/python protos/generate.py

format: install
	$(BIN)/buf format --write --path protos/ratel
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# The plot's packages are for the plot alone.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.lock
	$(BIN)/python -m bench
	$(BIN)/python -m bench.plot

install: $(VENV)/installed

# Nothing is downloaded whose hash is not in the lock: the project itself is built by the setuptools of the lock.
$(VENV)/installed: requirements.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Ratel needs Python 3.11 or later (python3.11 on the PATH, or make PYTHON=...)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo '$(PYTHON) cannot make a venv: on Debian, apt install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url

# Takes the newest versions that pyproject.toml allows, for every platform; writes no index address. The image's lock is
# the part of it that the service needs to run, and what builds it.
lock: install
	$(COMPILE) --upgrade --extra embedded --extra dev --output-file requirements.lock pyproject.toml
	echo setuptools | $(COMPILE) --constraint requirements.lock --output-file deploy/requirements.lock pyproject.toml -
	echo 'matplotlib>=3.10,<4' | $(COMPILE) --constraint requirements.lock --output-file bench/requirements.lock -

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
