# Needs Python 3.11 or later and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
# A failure of `make fuzz` is repeated by the last seed that it printed: make fuzz FUZZ_SEED=4711
FUZZ_SECONDS ?= 300
INSTALLED := .venv/.installed
PEERS := .venv-bench
PEERS_INSTALLED := $(PEERS)/.installed
ROUNDS ?= 5
LOCK_TOOL := .venv/lock
WEB_INSTALLED := web/node_modules/.installed
APP := src/identity/app
APP_SOURCES := $(shell find web/app web/client/src -type f -not -path '*/node_modules/*' -not -path '*/dist/*')

.DEFAULT_GOAL := help
.PHONY: help serve app demo test fuzz faults storm timing bench bench-quick check format lock \
	client-types web-test e2e clean

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

serve: $(INSTALLED) ## serve on http://127.0.0.1:8000 with an embedded database, printing mail
	$(BIN)/identity serve

app: $(APP)/index.html ## build the app for IDENTITY_APP_DIR=bundled and for wheels; needs node 20.19 or later
	@npm --prefix web/app run --silent size

demo: $(INSTALLED) $(APP)/index.html ## serve the app on http://127.0.0.1:8000, its mails on http://127.0.0.1:8025
	$(BIN)/python examples/demo.py

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal

fuzz: $(INSTALLED) ## random requests, for FUZZ_SECONDS=300 with each of three fuzzers, and random histories
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -q -s tests/fuzz tests/application/test_machine.py

faults: $(INSTALLED) ## let every call fail and every write be the last, all of them; a table of the points
	FAULTS=all $(BIN)/python -m pytest -q -n auto --dist worksteal \
		tests/application/test_every_call_fails_once.py tests/server/test_kill_at_every_write.py \
		tests/adapters/test_migrations.py

timing: $(INSTALLED) ## look for accounts that the time of an answer gives away; TIMING_PAIRS=1000 TIMING_JSON=1
	@$(BIN)/python -m tests.timing

storm: $(INSTALLED) ## measure 500 and 2,000 clients who log in at once, beside what the hasher does alone
	$(BIN)/python -m tests.server.storm

bench: $(INSTALLED) $(PEERS_INSTALLED) ## measure the service beside its peers, in 25 minutes; ROUNDS=5
	$(BIN)/python -m benchmarks --rounds $(ROUNDS)

bench-quick: $(INSTALLED) $(PEERS_INSTALLED) ## the most telling ratios in two minutes; fails when one is far off
	$(BIN)/python -m benchmarks --quick

check: $(INSTALLED) ## lint, formatting, types and the import law
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_import_law.py

format: $(INSTALLED) ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## choose the newest permitted dependencies and write both requirements.lock
	$(PYTHON) -m venv $(LOCK_TOOL)
	$(LOCK_TOOL)/bin/pip install --quiet uv
	$(LOCK_TOOL)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url pyproject.toml --extra dev -o requirements.lock
	$(LOCK_TOOL)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url benchmarks/requirements.in -o benchmarks/requirements.lock

client-types: $(INSTALLED) $(WEB_INSTALLED) ## write the client's openapi.json and types anew; needs node 20.19 or later
	$(BIN)/python -m tests.web.openapi
	npm --prefix web/client run types

web-test: $(INSTALLED) $(APP)/index.html ## check the types of the client and the app, test them, and weigh them; needs node 20.19 or later
	npm --prefix web/client run typecheck
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web/client test
	npm --prefix web/client run size
	npm --prefix web/app test
	npm --prefix web/app run size

e2e: $(INSTALLED) $(APP)/index.html ## try the app in CHROMIUM=/usr/bin/chromium; pictures in web/e2e/screenshots
	@npm --prefix web/app run --silent size
	npm --prefix web/e2e run typecheck
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web/e2e test

clean: ## remove what was installed and built
	rm -rf .venv $(PEERS) $(APP) web/node_modules web/app/dist web/e2e/screenshots build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Identity needs Python 3.11 or later; name one: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(PEERS_INSTALLED): benchmarks/requirements.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	@touch $@

$(WEB_INSTALLED): web/package-lock.json
	@command -v npm >/dev/null || { echo "This needs npm, which comes with Node.js 20.19 or later."; exit 1; }
	npm --prefix web ci --no-audit --no-fund
	@touch $@

$(APP)/index.html: $(WEB_INSTALLED) $(APP_SOURCES)
	npm --prefix web/app run build
	rm -rf $(APP)
	cp -R web/app/dist $(APP)
	@touch $@
