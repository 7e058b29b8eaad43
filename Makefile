# `make` lists what there is to do. Works with nothing installed but make, git and Python 3.11 or newer with venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
SUITES := tests/unit tests/contract tests/integration tests/app
PYTEST := $(BIN)/python -m pytest
JOBS ?= 2# processes that run tests side by side; 0: none besides this one
ARGS ?=# further arguments for pytest
PO := services/locale/zh_CN/LC_MESSAGES/lectern.po
POT := build/lectern.pot
unexport PYTHONDONTWRITEBYTECODE # where it is set, each of a thousand child processes compiles the whole anew

.PHONY: help ready install run test test-embedded test-browser test-gpu test-engines check bench requirements translations clean

help: ready ## list the targets (this one)
	@echo "Lectern: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

ready: # what a fresh machine may lack
	@sh tools/find_python.sh >/dev/null

install: ## build .venv with all pinned packages; does nothing when they are installed
	@python=$$(sh tools/find_python.sh) && "$$python" tools/install.py

run: install ## start Lectern here; Ctrl-C ends it
	@$(BIN)/python -m services up

test: install ## run all tests but those of the embedded chat model and of GPUs (JOBS=0 ARGS="-k name")
	@sh tools/system_packages.sh chromium
	$(PYTEST) -q -n $(JOBS) -m "not embedded and not gpu" $(SUITES) $(ARGS) || [ $$? = 5 ]
	$(PYTEST) -q tests/browser $(ARGS) || [ $$? = 5 ] # alone: a page that waits for its processor does not stand still

test-browser: install ## run the journeys in a real browser
	@sh tools/system_packages.sh chromium
	$(PYTEST) -q tests/browser $(ARGS)

test-gpu: install ## compare readings with nvidia-smi, and attribute memory, on a real NVIDIA card
	$(PYTEST) -q -m gpu tests/gpu $(ARGS)

test-engines: install ## run real engines under the supervisor (their environments need 4 GB and minutes the first time)
	@sh tools/system_packages.sh sshd
	$(PYTEST) -q -s --durations=10 -m engines tests/engines $(ARGS)

test-embedded: install ## ask the embedded chat model twelve questions (fetches 1.1 GB the first time)
	$(PYTEST) -q -s -m embedded tests $(ARGS)

check: install ## everything that needs no run: style, types, layering, translations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -q tests/unit/test_translations.py

bench: install ## measure against the baselines of bench/
	@for script in bench/*.py; do [ -f "$$script" ] || continue; echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

requirements: install ## pin requirements/*.in anew
	$(BIN)/python tools/lock_requirements.py $(ARGS)

translations: install ## bring the catalogue up to date with the messages in the code
	@mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k _ -k N_ -k ngettext:1,2 -k translate -k translate_plural:1,2 \
		--no-location --sort-output --project Lectern -o $(POT) services ui pages Home.py web.py
	$(BIN)/pybabel -q update --init-missing --no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
		-D lectern -l zh_CN -i $(POT) -o $(PO)

clean: ## remove .venv, caches and build/; never what lies in LECTERN_HOME
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
