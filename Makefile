# `make` lists the commands. Each sets up what it needs in .venv, and does nothing twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
PAGE := _build/html/index.html

# For every notebook and test: one thread (two workers share the cores) and a quiet TensorFlow that
# adds in one order. All can be set from outside.
OMP_NUM_THREADS ?= 1
OPENBLAS_NUM_THREADS ?= 1
TF_CPP_MIN_LOG_LEVEL ?= 3
TF_ENABLE_ONEDNN_OPTS ?= 0
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS TF_CPP_MIN_LOG_LEVEL TF_ENABLE_ONEDNN_OPTS
export PIP_DISABLE_PIP_VERSION_CHECK = 1

BOOK_SOURCES := _config.yml _toc.yml index.md references.md references.bib \
	$(wildcard chapters/* assets/* _ext/*.py _templates/* benchmarks/*.py) $(shell find rnnlab -name '*.py')

.PHONY: help book serve pdf linkcheck test test-robust test-matrix lint audit chapters notebooks fuzz mutants \
	bench lab format clean
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: _build/.done ## build the HTML book from the stored outputs
	@echo "$(if $(BUILT),The book is built,The book is up to date): file://$(CURDIR)/$(PAGE)"

serve: $(VENV)/.serve ## serve the book, rebuild and reload it on a change (PORT=8000)
	@PYTHONPATH=_ext $(BIN)/sphinx-autobuild . _build/serve --port $(PORT) -q \
		--pre-build "$(BIN)/jupyter-book config sphinx ." \
		$(foreach path,.venv .git _build conf.py,--ignore "$(CURDIR)/$(path)" --ignore "$(CURDIR)/$(path)/**")

linkcheck: $(VENV)/.book ## try all links to other sites (needs the network)
	@$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/linkcheck -q

pdf: _build/.done ## print the whole book as a PDF (needs Chromium)
	@$(BIN)/python tools/pdf.py

test: $(VENV)/.all _build/.done ## check everything: lint, unit tests, doctests, every page, every output
	@$(BIN)/python tools/check.py

test-robust: $(VENV)/.all ## run the chapters as on other machines (half an hour; one: ONLY=02_cells)
	@$(BIN)/python tools/robust.py $(ONLY)

test-matrix: $(VENV)/care/.done ## unit tests and chapters with older and newer libraries (one set: ONLY=oldest)
	@MATRIX_TORCH=$(TORCH) $(VENV)/care/bin/nox $(if $(ONLY),--session $(ONLY))

audit: $(VENV)/.all $(VENV)/care/.done ## known vulnerabilities and licences of all that is installed (needs the network)
	@$(VENV)/care/bin/python tools/audit.py $(BIN)/python

lint: $(VENV)/.all ## check the style of code, notebooks and workflows
	@$(BIN)/python tools/check.py lint

chapters: $(VENV)/.all ## run the chapters and compare their outputs (one: make chapters ONLY=02_cells)
	@$(BIN)/python tools/check.py chapters $(ONLY)

notebooks: $(VENV)/.all ## run the chapters and store their outputs (one: make notebooks ONLY=02_cells)
	@$(BIN)/python tools/notebooks.py $(ONLY)

fuzz: $(VENV)/.all ## call everything public with hypothesis' worst (MINUTES=10)
	@$(BIN)/python tests/fuzz.py --minutes $(or $(MINUTES),10)

mutants: $(VENV)/.all $(VENV)/care/.done ## change the package in thousands of ways: do tests notice? (ONLY=text, SAMPLE=300, AGAIN=1, RESUME=1, SECONDS=10)
	@$(VENV)/care/bin/python tools/mutation.py $(ONLY) --python $(BIN)/python \
		$(if $(SAMPLE),--sample $(SAMPLE)) $(if $(AGAIN),--again) $(if $(RESUME),--resume) \
		$(if $(SECONDS),--seconds $(SECONDS))

bench: $(VENV)/.all ## time layers, story and labs (AGAINST=1: fail if one got slower than in the kept run)
	@failed=0; for part in layers story labs; do \
		$(BIN)/python benchmarks/$$part.py $(if $(AGAINST),--against,--store) || failed=1; \
	done; exit $$failed

lab: $(VENV)/.lab ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab chapters

format: $(VENV)/.all ## put code and notebooks into the common format
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

clean: ## remove what was built, but not .venv
	@rm -rf _build build conf.py rnnlab.egg-info .pytest_cache .ruff_cache chapters/.ruff_cache .hypothesis .coverage .coverage.*

# A build from nothing takes seconds. An incremental one would not repeat the warnings of pages that
# did not change, and so pass the second time.
_build/.done: $(VENV)/.book $(BOOK_SOURCES)
	@rm -rf _build
	@$(BIN)/jupyter-book build . -W -n --keep-going --all -q
	@touch $@
	$(eval BUILT := yes)

# The files .venv/.* are written last: an interrupted installation is taken up again.
$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and \
		f"rnnlab needs Python 3.11 or newer, and $(PYTHON) is {v}: make PYTHON=/path/to/python3.11")'
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.book: requirements-book.txt | $(VENV)/.created
	@echo "Installing what builds the book ..."
	@$(BIN)/python -m pip install --quiet -r requirements-book.txt
	@touch $@

$(VENV)/.all: requirements.txt requirements-book.txt pyproject.toml | $(VENV)/.created
	@echo "Installing what runs the chapters and the tests (torch and TensorFlow take a while) ..."
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $(VENV)/.book $@

$(VENV)/care/.done: requirements-care.txt | $(VENV)/.created
	@echo "Installing what looks after versions and licences ..."
	@$(PYTHON) -m venv $(VENV)/care
	@$(VENV)/care/bin/python -m pip install --quiet -r requirements-care.txt
	@touch $@

$(VENV)/.serve: $(VENV)/.book
	@echo "Installing what rebuilds the book on a change ..."
	@$(BIN)/python -m pip install --quiet sphinx-autobuild==2025.8.25
	@touch $@

$(VENV)/.lab: $(VENV)/.all
	@echo "Installing JupyterLab ..."
	@$(BIN)/python -m pip install --quiet jupyterlab==4.6.6
	@touch $@
