# Everything sets itself up in .venv; PYTHON names the interpreter to start from.
PYTHON ?= python3
BIN := .venv/bin
# Files of tests side by side, on as many cores as there are up to four; the longest, tests/e2e, come first by their name.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast test-lowest check format clean

demo: .venv/.installed
	$(BIN)/gotr1-eval demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

# The oldest transformers that the package takes, and what belongs to it.
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest $(SIDE_BY_SIDE)

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-lowest build *.egg-info

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# torch comes first, from the index that the machine knows; packages of CUDA would mean that another torch took its place.
.venv-lowest/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-lowest
	sed -E 's/^transformers==.*/transformers==5.10.2/; s/^huggingface_hub==.*/huggingface_hub==1.33.0/; s/^tokenizers==.*/tokenizers==0.22.2/' \
		constraints.txt > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/constraints.txt torch
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/constraints.txt --editable '.[dev]'
	! .venv-lowest/bin/python -m pip list --format=freeze | grep -i '^nvidia'
	touch $@
