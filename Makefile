# Everything sets itself up in .venv; PYTHON names the interpreter to start from.
PYTHON ?= python3
BIN := .venv/bin
# Files of tests side by side, on as many cores as there are up to four; the longest, tests/e2e, come first by their name.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast test-lowest test-trainers check check-packages check-neighbours check-wheel check-server gpu-check gpu-wheels gpu-site format clean

# Before transformers 5.10 judges see no picture; the others are what it and the package need beside torch.
GPU_PYTHON ?= 3.12
CARRIED := transformers tokenizers huggingface_hub safetensors accelerate peft pydantic pydantic_core annotated-types \
	typing-inspection typing_extensions typer rich markdown-it-py mdurl Pygments shellingham openai jiter httpx2 \
	httpcore2 truststore anyio h11 idna sniffio llguidance

demo: .venv/.installed
	$(BIN)/gotr1-eval demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: .venv/.installed-dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

# The oldest transformers that the package takes, and what belongs to it.
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest $(SIDE_BY_SIDE)

# Other people's trainers with our rewards, each in an environment of its own: their bounds exclude one another.
test-trainers: .venv-trl/.installed .venv-verl/.installed .venv-ms_swift/.installed
	HF_HUB_OFFLINE=1 .venv-trl/bin/python -W ignore -m tests.trainers.run_trl
	HF_HUB_OFFLINE=1 .venv-verl/bin/python -W ignore -m tests.trainers.run_verl
	HF_HUB_OFFLINE=1 .venv-ms_swift/bin/python -W ignore -m tests.trainers.run_ms_swift

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each in an environment of its own, made by pip; docs/packages.md says what they show.
check-packages check-neighbours check-wheel: .venv/.installed-dev
	$(BIN)/python -m tests.environments.$(@:check-%=%)

check-server: .venv/.installed-dev
	$(BIN)/python -m tests.environments.openapi

# What only a GPU can show, in five minutes; PYTHON is one whose torch sees it. Writes gpu-check.json and gpu-check.md.
gpu-check:
	PYTHONPATH="$(CURDIR):$(CURDIR)/.wheels/site:$$PYTHONPATH" $(PYTHON) -m tests.perf.gpu_check $(if $(ONLY),--only $(ONLY))

# For a machine with a GPU, torch and no network: carry .wheels there, and make gpu-site before gpu-check.
gpu-wheels:
	$(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: --dest .wheels --python-version $(GPU_PYTHON) \
		$(foreach glibc,39 35 34 31 28 27 24 17,--platform manylinux_2_$(glibc)_x86_64) --platform manylinux2014_x86_64 \
		$(foreach name,$(CARRIED),$(shell grep -i '^$(name)==' constraints.txt))

gpu-site:
	$(PYTHON) -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target .wheels/site .wheels/*.whl

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-* build *.egg-info

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

trl := trl==1.16.0
verl := verl==0.9.1
ms_swift := ms-swift==4.6.0 msgspec

.venv-trl/.installed .venv-verl/.installed .venv-ms_swift/.installed: .venv-%/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --constraint constraints.txt torch
	.venv-$*/bin/python -m pip install --quiet --editable . $($*)
	! .venv-$*/bin/python -m pip list --format=freeze | grep -i '^nvidia'
	touch $@
