# Everything a developer does, from a fresh clone, as root or not. `make` alone explains it.
# Later benches and drills follow `screenshots`: a target, its `##` words, one module that does the work.

VENV := .venv
PY := $(VENV)/bin/python
# One stamp for each content of the lock: another lock makes another stamp.
STAMP := $(VENV)/.lock-$(shell cksum < requirements-dev.lock | tr ' ' '-')

LIGHTHOUSE := dev/lighthouse

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-reset test e2e contract lint format lock screenshots pages a11y bench-page bench-send bench-fair bench-import bench-export drill bench-receipts bench-mixed bench-admin probe fuzz-lists bench-hostile clean

help: ## this text
	@echo "Todoke: make <target>"
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  DATABASE_URL and REDIS_URL name servers to use; without them embedded ones are started."

venv: $(STAMP) ## the virtual environment, exactly as locked (the other targets make it too)

demo: $(STAMP) ## the whole product on this machine until Ctrl-C (DEMO_PORT=8000, SANDBOX_PORT, DEMO_PG_PORT, DEMO_REDIS_PORT)
	@$(PY) -m dev.demo

demo-reset: $(STAMP) ## remove the demo's data, so that the next demo begins anew
	@$(PY) -m dev.demo reset

test: $(STAMP) ## the default tests, with servers of their own (PYTEST_ARGS='-k vault -x')
	$(PY) -m pytest -n 4 --dist worksteal $(PYTEST_ARGS)

e2e: $(STAMP) ## a browser through the whole product (needs Debian's chromium, w3m, tmux; PYTEST_ARGS)
	$(PY) -m pytest -m e2e $(PYTEST_ARGS) tests/e2e

contract: $(STAMP) ## adapters and sandbox against contract, SDKs, specifications; writes docs/*-providers-table.md
	$(PY) -m dev.contract $(PYTEST_ARGS)

lint: $(STAMP) ## ruff, types, import contracts, locks, migrations match models
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -m dev.lint

format: $(STAMP) ## let ruff mend and format the code
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

lock: $(STAMP) ## solve both locks anew from pyproject.toml (LOCK_ARGS=--upgrade takes newer versions)
	$(PY) -m dev.lock $(LOCK_ARGS)

screenshots: $(STAMP) ## the pictures of the README and the clerks' guide, from a product started for them (needs Debian's chromium)
	$(PY) -m dev.screenshots

pages: $(STAMP) ## a picture of every state of the recipients' pages, for docs/pages.md (needs Debian's chromium)
	$(PY) -m dev.pages

a11y: $(STAMP) $(LIGHTHOUSE)/node_modules ## every state of the recipients' pages before axe-core and Lighthouse (needs chromium, nodejs, npm; BENCH_ARGS=states)
	$(PY) -m bench.a11y $(BENCH_ARGS)

bench-page: $(STAMP) ## a link's first page against a bare Flask page, with 10,000 and 1,000,000 people (needs Debian's wrk)
	$(PY) -m bench.page $(BENCH_ARGS)

bench-send: $(STAMP) ## campaigns of 20,000 against a bare HTTP client (BENCH_ARGS=messages; PROVIDER=all: each SMS service)
	$(if $(PROVIDER),PROVIDER=$(PROVIDER) $(PY) -m bench.services,$(PY) -m bench.send) $(BENCH_ARGS)

bench-fair: $(STAMP) ## how long ten people wait behind a campaign of a million (BENCH_ARGS=rows)
	$(PY) -m bench.fairness $(BENCH_ARGS)

bench-import: $(STAMP) ## an import of a million rows against a bare COPY of them (BENCH_ARGS="rows xlsx")
	$(PY) -m bench.imports $(BENCH_ARGS)

bench-export: $(STAMP) ## the status file of a million people, from its first byte on (BENCH_ARGS=rows)
	$(PY) -m bench.exports $(BENCH_ARGS)

drill: $(STAMP) ## the crash matrix: what breaks in the middle, and what became of every SMS (DRILL_CELLS='redis_flushed …' SERVICE=twilio)
	$(if $(SERVICE),DRILL_SERVICE=$(SERVICE) )$(PY) -m bench.drill $(DRILL_CELLS)

bench-receipts: $(STAMP) ## 600 receipts a second for a minute while pages are served (BENCH_ARGS="rate seconds" PROVIDER=twilio)
	$(if $(PROVIDER),PROVIDER=$(PROVIDER) )$(PY) -m bench.receipts $(BENCH_ARGS)

bench-mixed: $(STAMP) ## pages, SMS, a list and files at once for three minutes (BENCH_ARGS="phones sms rows seconds")
	$(PY) -m bench.mixed $(BENCH_ARGS)

bench-admin: $(STAMP) ## the back office's lists with 10,000 and 1,000,000 rows, over HTTP (BENCH_ARGS=rows)
	$(PY) -m bench.admin $(BENCH_ARGS)

probe: $(STAMP) ## every field, header, name and path at 1 kB to 1 MB, and 200 slow connections, against a product started for it
	$(PY) -m bench.probe

fuzz-lists: $(STAMP) ## 20,000 made-up lists and workbooks through the intake: no row lost or doubled in silence (BENCH_ARGS="files seed")
	$(PY) -m bench.fuzz_lists $(BENCH_ARGS)

bench-hostile: $(STAMP) ## workbooks that mean harm, uploaded to a running product (BENCH_ARGS="megabytes file…")
	$(PY) -m bench.hostile $(BENCH_ARGS)

clean: ## remove caches and the virtual environment; the demo's data stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .e2e $(LIGHTHOUSE)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements-dev.lock dev/venv.sh
	@sh dev/venv.sh $(VENV) requirements-dev.lock
	@rm -f $(VENV)/.lock-* && touch $@

$(LIGHTHOUSE)/node_modules: $(LIGHTHOUSE)/package-lock.json
	cd $(LIGHTHOUSE) && npm ci
	@touch $@
