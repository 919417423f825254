# Everything sets itself up in .venv; PYTHON names the interpreter to start from.
PYTHON ?= python3
BIN := .venv/bin
# Files of tests side by side, on as many cores as there are up to four; the longest, tests/e2e, come first by their name.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast check format clean

demo: .venv/.installed
	$(BIN)/gotr1-eval demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build *.egg-info

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
