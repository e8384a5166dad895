# Every command of the project. Variables of .env.example go before or after: `make demo PORT=9000 DATA_DIR=/tmp/demo`.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PLATFORM := .venv/bin/python

.PHONY: help setup setup-dev demo run test lint soak bench up
.DEFAULT_GOAL := help

help:
	@echo "make demo   the whole platform against a simulated exchange"
	@echo "make run    the whole platform against Binance"
	@echo "make test   linters, types, import rules and every test"
	@echo "make soak   the long tests, with a table at the end"
	@echo "make bench  the benchmarks, with their tables"
	@echo "make up     the platform in containers, by docker compose"

setup setup-dev:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv and ensurepip on PATH" >&2; exit 1; }
	@$(PYTHON) bootstrap.py $(if $(filter setup-dev,$@),--dev)

# One exec line each: the process that make started is the one that gets its signals.
demo: setup
	@exec $(PLATFORM) -m tradingplatform.supervisor demo

run: setup
	@exec $(PLATFORM) -m tradingplatform.supervisor run

test: setup-dev
	@exec tests/run

lint: setup-dev
	@exec tests/run --lint

soak: setup-dev
	@exec $(PLATFORM) -m tests.soak

bench: setup-dev
	@exec $(PLATFORM) -m bench

up:
	@exec docker compose up --build
