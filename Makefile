# Each target works from a clean clone: it needs python3 (3.12), make and a package registry.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv/bin/python
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test check proof marathon chaos bench fix lock install-demo install-dev

help: ## Say what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install-demo ## Run everything on this machine, with simulated clouds (RESET=1 starts over, DEMO_SPEED=N)
	@exec $(VENV) -m stack.demo

test: install-dev ## Run every test but the long ones, within 12 minutes on 2 cores (TIER=unit for one tier)
	@$(VENV) -m stack.chromium
	@$(VENV) -m stack.tiers test $(TIER)

check: install-dev ## Format, lint, types, import directions, templates, migrations, generated pages
	@$(VENV) -m stack.check

proof: install-dev ## Run the long tests: property runs, fuzz, sweeps (within 40 minutes)
	@$(VENV) -m stack.chromium
	@$(VENV) -m stack.tiers proof

marathon: install-dev ## Run the proofs that are too long for make proof (an hour or more)
	@$(VENV) -m stack.chromium
	@$(VENV) -m pytest -m marathon --quiet --numprocesses=2 tests

chaos: install-dev ## Break everything for 15 minutes, then check what people were told (DURATION, REQUESTS, KILLS)
	@$(VENV) -m tests.chaos

bench: install-dev ## Measure, and compare with the figures that the documents state
	@$(VENV) -m benchmarks

fix: install-dev ## Format, and mend what can be mended by itself
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format .
	@git ls-files -z 'templates/*.html' '*/templates/*.html' ':!simulator' | xargs -0 -r .venv/bin/djade --target-version 6.1
	@PORTAL_PROCESS=worker PORTAL_MODE=test $(VENV) manage.py lifecycle > .lifecycle.new && mv .lifecycle.new docs/lifecycle.md

lock: install-dev ## Resolve pyproject.toml into requirements/*.txt, with hashes
	$(LOCK) -o requirements/base.txt
	$(LOCK) --group demo -o requirements/demo.txt
	$(LOCK) --group dev -o requirements/dev.txt

install-demo:
	@$(PYTHON) stack/install.py demo

install-dev:
	@$(PYTHON) stack/install.py dev
