# Everything runs inside .venv, which `make install` creates.

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
HANDOUTS := handouts/elman.pdf handouts/elman.html handouts/elman-teacher.pdf handouts/elman-teacher.html

# Two test processes share the cores; a BLAS library that starts its own threads in each only slows them down.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help install handout test format-check lint types imports pytest benchmark format clean
.DEFAULT_GOAL := help

help:
	@echo "make install    create .venv with everything the tests need (PYTHON=$(PYTHON))"
	@echo "make handout    derive, verify and print the Elman handout, both editions, as PDF and HTML"
	@echo "make test       format check, lint, types, import contracts, tests (JOBS=$(JOBS))"
	@echo "make benchmark  time the Elman gradient against other libraries and write docs/performance.md"
	@echo "make format     format the code and apply the safe lint fixes"
	@echo "make clean      remove caches, builds and handouts; .venv stays"

install: .venv/installed

# The stamp is newer than the two files that say what to install, or the installation is repeated.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make install PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,plots,office]'
	@touch $@

handout: install
	@mkdir -p handouts
	@$(BIN)/derive handout elman --edition student -o handouts/elman.pdf
	@$(BIN)/derive handout elman --edition student -o handouts/elman.html
	@$(BIN)/derive handout elman --edition teacher -o handouts/elman-teacher.pdf
	@$(BIN)/derive handout elman --edition teacher -o handouts/elman-teacher.html
	@printf '%s\n' $(HANDOUTS)

test: format-check lint types imports pytest

format-check: install
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check

lint: install
	@echo "== ruff check"
	@$(BIN)/ruff check

types: install
	@echo "== pyright"
	@$(BIN)/pyright

imports: install
	@echo "== import contracts"
	@$(BIN)/lint-imports --no-logo

pytest: install
	@echo "== pytest"
	@$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup

benchmark: install
	@$(BIN)/python -m tests.benchmarks

format: install
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

clean:
	@rm -rf handouts build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find derive kernels tests -name __pycache__ -type d -prune -exec rm -rf {} +
