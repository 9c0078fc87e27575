# Everything a newcomer types. `make quickstart` and `make test` need Python 3.11, git and make, nothing else.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs
DATA ?=
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: quickstart test test-heavy test-cluster lint install fairseq clean help

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(VENV)/.installed  ## Make .venv with everything in it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0 --editable '.[jobs,dev]'
	touch $@

fairseq: .venv-fairseq/.installed  ## Make .venv-fairseq, in which fairseq trains (needs g++)

.venv-fairseq/.installed: docker/fairseq.txt
	$(PYTHON) -m venv .venv-fairseq
	.venv-fairseq/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement docker/fairseq.txt
	.venv-fairseq/bin/python -c "import jobs.fairseq.compat, fairseq"
	touch $@

quickstart: install  ## Run the smoke benchmark on embedded data and print where the leaderboard is
	$(BIN)/unsmooth run jobs/plans/smoke.yaml --runs $(RUNS)

test: install lint  ## Lint, then run every test but the heavy ones
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not heavy and not cluster"

test-heavy: install  ## Run the heavy tests: process gangs, DeepSpeed, whole recipes
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal -m heavy

test-cluster: install  ## Run the tests of real SLURM, containers, hosts and faults (Linux, root; see tests/cluster/README.md)
	$(ONE_THREAD) UNSMOOTH_CLUSTER=1 $(BIN)/python -m pytest -m cluster tests/cluster tests/faults

lint: install  ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint --config .hadolint.yaml docker/*.Dockerfile

clean:  ## Remove the environment and caches; runs stay
	rm -rf $(VENV) .venv-fairseq .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build dist
