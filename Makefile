# Everything a newcomer, a developer and CI need. `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-promises lint types train evaluate benchmark loop bench-desk bench-speed schema screenshots system-packages clean

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

demo: setup
	$(BIN)/evidence-review demo

# Debian's browser for the page tests, and a PostgreSQL 15 that the tests start themselves; on other systems set CHROMIUM
# to a Chromium executable and POSTGRES_BIN to the folder of initdb and pg_ctl.
system-packages:
	@command -v $${CHROMIUM:-chromium} >/dev/null || { echo "Installing chromium ..."; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; }
	@test -x $${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}/initdb || { echo "Installing PostgreSQL 15 ..."; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-15 >/dev/null; }

# What only computes is tested by two processes; what runs servers, browsers and clocks has the machine to itself.
test: setup system-packages lint types
	$(BIN)/pytest -n 2 --dist loadfile tests/models tests/training
	$(BIN)/pytest --ignore tests/models --ignore tests/training

# The long forms of docs/promises.md; writes what was measured into it.
test-promises: setup system-packages
	$(BIN)/pytest tests/promises -n 0 -m "long or not long" --timeout 1800 --promises-doc docs/promises.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

train: setup
	$(BIN)/evidence-train fit --data $(DATA)

evaluate: setup
	$(BIN)/evidence-train evaluate --data $(DATA)

benchmark: setup
	$(BIN)/evidence-train benchmark --data $(DATA)

bench-desk: setup
	$(BIN)/python -m bench.desk
	$(BIN)/python -m bench.export

# Everything in docs/performance.md, about 20 minutes on two free cores; QUICK=1 takes a few, HUGE=1 twenty more.
# Threads and pages as workers and the container have them.
bench-speed: setup
	OMP_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/python -m bench.speed $(if $(QUICK),--quick) $(if $(HUGE),--huge)

# The pictures of docs/desk.md, taken of the demonstration in chromium.
screenshots: setup system-packages
	$(BIN)/python -m bench.tour

# A year of deciding and monthly retraining, simulated with and without each safeguard: docs/retraining-year.md.
loop: setup
	$(BIN)/evidence-train loop

schema: setup
	$(BIN)/evidence-train schema --out datasets/schema

clean:
	rm -rf $(VENV) var reports
