# What a person types. The work is done by scripts/ (each file says what it does), in the environment .venv.
# PORT=8001 make run · ARGS="tests/core -k retry" make test · UPGRADE=1 make lock
.DEFAULT_GOAL := help
.PHONY: help install run test check bench chaos bench-peers lock format watch clean

PY := .venv/bin/python
SETUP := @sh scripts/python -m scripts.setup

help: ## This list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

install: ## Set up everything: Python environment, browser packages, page bundles
	$(SETUP)

run: ## Set up what is missing, migrate, seed, serve on 127.0.0.1:$PORT (8000)
	$(SETUP) --level base
	@exec $(PY) -m scripts.serve

test: ## All tests, with a real PostgreSQL, Redis and Chromium, in both topologies
	$(SETUP)
	@exec $(PY) -m scripts.suite $(ARGS)

check: ## Format, lint, types, migrations, production settings, locks
	$(SETUP) --no-browser
	@exec $(PY) -m scripts.check

chaos: ## Break everything on purpose, check what must hold; ARGS="--fault worker_kill --trials 100"
	$(SETUP)
	@exec $(PY) -m chaos $(ARGS)

bench: ## The benchmark, fourteen minutes (ARGS=--quick: three; benchmarks/README.md)
	$(SETUP)
	@exec $(PY) -m benchmarks $(ARGS)

bench-peers: ## Nexus beside other servers, installed on first use (ARGS=--open-webui: that one too, 7 GB)
	$(SETUP)
	@exec $(PY) -m benchmarks --peers $(ARGS)

lock: ## Pin the dependencies anew (UPGRADE=1 moves them forward)
	$(SETUP) --no-browser
	@exec $(PY) -m scripts.lock

format: ## Put the Python code into shape
	$(SETUP) --no-browser
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

watch: ## Build the page bundles again at every change
	$(SETUP)
	@exec $(PY) -m scripts.watch

clean: ## Remove what was built (never var/, where the data is)
	rm -rf .venv node_modules static/dist .mypy_cache .ruff_cache .pytest_cache
