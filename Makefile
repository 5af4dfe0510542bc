# Each target is one line over the `lumirage` command; `make book` and `make test` need nothing else.
BIN := .venv/bin
# The first of these that is a Python this project runs on; PYTHON=... overrides it.
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13; do \
  $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && \
  echo $$name && break; done)

.PHONY: book pdf test browser faults check results benchmarks clean
.DEFAULT_GOAL := book

book: .venv/ready
	$(BIN)/lumirage book

# The whole book in one file; needs a Chromium (apt-get install chromium).
pdf: book
	$(BIN)/python book/_ext/pdf.py

# Two processes, for two cores; the tests of one file stay together and share what they set up.
test: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pytest -n 2 --dist loadfile

# The real book in a browser: every page at three widths, light, dark and on paper (apt-get install chromium).
browser: book
	LUMIRAGE_REQUIRE_BROWSER=1 $(BIN)/pytest -m browser_real -s tests/book/browser

# The faults that take minutes: fifty kills of a run, several writers of one store.
faults: .venv/ready
	$(BIN)/pytest -m faults_slow tests/faults

# What a change must keep: style, types, examples in docstrings, downward imports, a thin library.
check: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && \
	$(BIN)/pytest -q --doctest-modules lumirage_lib tests/test_house.py

# Continue the published run: hours on two cores, resumable, then export its tables.
results: .venv/ready
	$(BIN)/lumirage results compute -p open && $(BIN)/lumirage results export -p open

benchmarks: .venv/ready
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf _build book/experiments .venv

.venv/ready: requirements.txt requirements-fireants.txt pyproject.toml
	@test -n "$(PYTHON)" || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed and none was found: try  apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "The venv module of $(PYTHON) is missing: try  apt-get install python3-venv"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) (about 3 GB, some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-fireants.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
