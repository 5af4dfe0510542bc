# Each target is one line over the `lumirage` command; `make book` and `make test` need nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: book test results benchmarks clean
.DEFAULT_GOAL := book

book: .venv/ready
	$(BIN)/lumirage book

test: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pytest

# Continue the published run: hours on two cores, resumable, then export its tables.
results: .venv/ready
	$(BIN)/lumirage results compute -p open && $(BIN)/lumirage results export -p open

benchmarks: .venv/ready
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf _build book/experiments .venv

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed, $(PYTHON) is another: try  make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: try  apt-get install python3-venv"; exit 1; }
	@echo "Setting up .venv (about 3 GB, some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
