# Every target makes .venv when it is missing or older than the lock.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Stamps of three layers: what an audit needs, what training needs, everything.
AUDIT := .venv/.audit
TRAIN := .venv/.train
READY := .venv/.ready
# Where it is set, every start of a command would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE

# Digests in a constraint hold: a file of another content is not installed, nor built with.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python \
  --constraint requirements.lock --build-constraint requirements.lock

.PHONY: help audit train test test-fast coverage lint docs bench bench-gpu embedded embedded-he lock supply clean

help:
	@echo "make audit     set up what an audit needs (0.7 GB) and audit the bundled corpus"
	@echo "make train     set up torch as well (6 GB), audit, and train a tiny model"
	@echo "make test      set up everything, lint, and run the whole test suite"
	@echo "make test-fast the quick tests only, without lint and coverage"
	@echo "make coverage  the whole suite with branch coverage, twice as long"
	@echo "make docs      the documentation site, into build/site/"
	@echo "make lint      ruff, mypy, import-linter"
	@echo "make bench     the figures of docs/, remade"
	@echo "make bench-gpu what a GPU does in 8 minutes: docs/performance-gpu.md, remade"
	@echo "make embedded  train the embedded model anew (see its recipe's README); embedded-he: Hebrew"
	@echo "make lock      remake the two locks; newer versions: make lock UPGRADE=--upgrade"
	@echo "make supply    licences and known advisories of what is installed, bill of materials"
	@echo "make clean     remove .venv and caches"

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "asr-gate needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 2; }
	@# Debian splits the module venv off; without it a root user gets the package, others a line.
	@rm -rf .venv
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq python3-venv; } \
	  || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock

$(AUDIT): EXTRAS := align,wandb
$(TRAIN): EXTRAS := train,wandb
$(READY): EXTRAS := dev
$(AUDIT) $(TRAIN) $(READY): $(BIN)/uv requirements.lock pyproject.toml
	@# ctc-forced-aligner, which the tests ask for a second opinion, is built from source.
	@case "$(EXTRAS)" in *dev*) command -v g++ >/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq g++ >/dev/null; } \
	  || { echo "A C++ compiler is missing: apt-get install g++"; exit 2; };; esac
	$(INSTALL) -e '.[$(EXTRAS)]'
	@# Compiles the aligner's loops, once a machine; an audit would do it when it first aligns.
	$(BIN)/python -m asr_gate.audit.align
	@touch $@

audit: $(AUDIT)
	$(BIN)/asr audit audit/example/proceed.jsonl --wandb --resume

train: $(TRAIN) audit
	$(BIN)/asr train round2-tiny

test: lint
	@# report.html is tested in a real browser; where there is none, its tests are skipped and say so.
	@command -v chromium >/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq \
	       && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "chromium is missing: tests of report.html are skipped (apt-get install chromium)"
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Apart from `test`, since counting doubles the time on Python 3.11; held from falling below fail_under.
coverage: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov

test-fast: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/mkdocs build --strict

bench: $(READY)
	@# The others' aligners; one needs a C++ compiler, and without them their columns stay empty.
	-$(INSTALL) -e '.[dev,bench]'
	$(BIN)/python -m bench

bench-gpu: $(READY)
	$(INSTALL) -e '.[dev,gpu]'
	$(BIN)/python -m bench.gpu

embedded: $(READY)
	$(BIN)/python -m recipes.embedded --out build/embedded --minutes 60
	cp build/embedded/model.onnx build/embedded/model.json embedded/

# Stopped, it goes on where it was.
embedded-he: $(READY)
	$(BIN)/python -m recipes.embedded --language he --out build/he --utterances 20000 --minutes 30 \
	  --begin-with embedded --resume

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url

# Versions stay as they are, unless UPGRADE says otherwise.
lock: $(BIN)/uv
	$(COMPILE) --all-extras $(UPGRADE) -o requirements.lock pyproject.toml
	@# What the gate needs in CI, and what builds it.
	echo 'setuptools>=80' | $(COMPILE) --extra sign --constraint requirements.lock \
	  -o requirements.gate.lock pyproject.toml -

supply: $(READY)
	$(BIN)/python -m bench.dependencies

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build .coverage
