# The two that a newcomer needs: `make demo` and `make test`. Both set up .venv first, by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# nothing is compiled ahead: most of what is installed is never imported, and compiling it takes as long as installing
PIP := $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt
BASE := $(VENV)/.base
SETUP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo setup test slow lint types coverage docs bench-engine smoke chaos conformance build licences sbom audit release clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BASE): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "kardia needs Python 3.10 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e '.[local,offline]'
	touch $@

$(SETUP): $(BASE)
	$(PIP) -e '.[local,offline,litellm,parquet,datasets,ray,postgres,docs,release,dev]'
	touch $@

setup: $(SETUP) ## set up .venv with everything

demo: $(BASE) ## score the example conversations with the embedded judge
	$(BIN)/kardia score examples/conversations.jsonl --rubric emotional-support -o out.jsonl
	@echo "The scorecards are in out.jsonl"

# one process a core, and one thread in each: what starts threads of its own asks for them
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test: $(SETUP) lint types ## run every check and test
	$(PYTEST) -m 'not slow'

slow: $(SETUP) ## run what `make test` leaves out: many seeds, long trainings, more of Ray; about four minutes
	$(PYTEST) -m slow

lint: $(SETUP) ## ruff
	$(BIN)/ruff check kardia tests benchmarks training docs .ci
	$(BIN)/ruff format --check kardia tests benchmarks training docs .ci

types: $(SETUP) ## mypy, strict
	$(BIN)/mypy --num-workers 2

coverage: $(SETUP) ## branch coverage; fails where a pure module has 95 % or less
	$(PYTEST) --cov --cov-branch --cov-report=term --cov-report=json
	$(BIN)/python benchmarks/pure_coverage.py coverage.json

bench-engine: $(SETUP) ## measure the engine beside others and write the tables; about an hour
	$(BIN)/python benchmarks/engine.py --write
	$(BIN)/python benchmarks/cached.py --write

smoke: $(SETUP) ## train the smoke recipe with three seeds and write the table; about half an hour
	$(BIN)/python benchmarks/smoke.py --write

chaos: $(SETUP) ## see what failing servers, kills and two processes at once cost; about five minutes
	$(BIN)/python benchmarks/chaos.py faults --write
	$(BIN)/python benchmarks/chaos.py kills --write
	$(BIN)/python benchmarks/chaos.py pace --write

# each trainer's own code, with kardia's rewards, in an environment of its own: they do not go together
comma := ,
define conform
	rm -rf $(VENV)/conform/$(1) && $(BIN)/python -m venv $(VENV)/conform/$(1)
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > $$(echo $(VENV)/conform/$(1)/lib/python*/site-packages)/kardia.pth
	$(VENV)/conform/$(1)/bin/python -m pip install --quiet $(2)
	$(if $(3),$(VENV)/conform/$(1)/bin/python -m pip install --quiet $(3))
	$(VENV)/conform/$(1)/bin/python -m pytest -q -p no:cacheprovider tests/reward/test_$(1).py
endef

conformance: $(SETUP) ## run verl's, OpenRLHF's and verifiers' own code with kardia's rewards
	$(call conform,verl,--no-deps verl==0.9.1,ray omegaconf hydra-core 'tensordict>=0.8$(comma)<=0.10$(comma)!=0.9.0' codetiming torchdata cachetools pillow TransferQueue)
	$(call conform,openrlhf,--no-deps openrlhf==0.11.2,pylatexenc sympy)
	$(call conform,verifiers,verifiers==0.4.0 pytest,)

docs: $(SETUP) ## build the documentation's site into build/site, strictly
	$(BIN)/python -m sphinx -W --keep-going -n -b html docs build/site

build: $(SETUP) ## build what is distributed into dist/, and check its metadata
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

licences: $(SETUP) ## check the dependencies' licences and write docs/licences.md
	$(BIN)/python .ci/licences.py --write

sbom: $(SETUP) ## write the software bill of materials to build/sbom.cdx.json
	$(BIN)/python .ci/sbom.py

audit: $(SETUP) ## ask an advisory service about every pinned version; needs the network
	$(BIN)/python .ci/audit.py

release: test slow build sbom audit ## all that is looked at before a release: docs/releasing.md

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage coverage.json out.jsonl
