# Needs Python 3.11 or newer, make and git. Everything else is set up in .venv.
SHELL := /bin/bash -o pipefail
VENV  := .venv
BIN   := $(VENV)/bin
PORT  ?= 3000
CODE  := $(filter-out tests/% benchmarks/%,$(shell git ls-files '*.py' '*.toml' '*.html' requirements.lock Makefile 2>/dev/null))
# Two workers; the tests of a file share the fixtures of one worker.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test screenshots notebooks soak check lock audit docs reference clean
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.ready ## Set up .venv from requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	@python=$$(for p in python3.13 python3.12 python3.11 python3; do \
	    $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	    && echo $$p && break; done); \
	 [ -n "$$python" ] || { echo "Hotlead needs Python 3.11, 3.12 or 3.13; none was found." >&2; exit 1; }; \
	 echo "Setting up .venv with $$($$python --version) (one to three minutes) ..."; \
	 $$python -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.ready demo-crm/demo.txt ## Make a demo CRM, train on it, show whom to call, serve it
	@cat demo-crm/demo.txt
	@echo "(made by 'hotlead demo'; 'make -B demo' makes it anew)"
	@exec $(BIN)/hotlead serve demo-crm/crm.toml --open --port $(PORT)

demo-crm/demo.txt: $(VENV)/.ready $(CODE)
	@echo "Running 'hotlead demo' (one to two minutes) ..."
	@$(BIN)/hotlead demo > .demo.txt && mv .demo.txt $@ || { rm -f .demo.txt; exit 1; }

test: $(VENV)/.ready ## Run the fast tests: the working product, without what is slow (a few minutes)
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

.PHONY: test-all
test-all: test ## Run all tests: `make test`, then browser, PostgreSQL, notebooks, real data
	@$(BIN)/python -m pytest $(PARALLEL) -m slow

screenshots: $(VENV)/.ready ## Make the pictures of the docs anew, in a browser
	@HOTLEAD_SCREENSHOTS=1 $(BIN)/python -m pytest tests/end_to_end/test_review_browser.py

notebooks: $(VENV)/.ready ## Run the notebooks and write what they show into them (pictures need a Chromium)
	@HOTLEAD_NOTEBOOKS=1 PLOTLY_RENDERER=plotly_mimetype+png $(BIN)/python -m pytest tests/docs/test_notebooks.py

soak: $(VENV)/.ready ## The long trial of the service: moving champions, 100,000 hostile requests, kills, idle connections (an hour or two)
	@$(BIN)/python -m benchmarks.soak

check: $(VENV)/.ready ## ruff, mypy, import-linter and the lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@cp requirements.lock .lock.new && $(MAKE) --no-print-directory compile TO=.lock.new
	@diff -q requirements.lock .lock.new >/dev/null && ! grep -n '://' requirements.lock \
	 || { rm -f .lock.new; echo "requirements.lock is not current: run 'make lock'." >&2; exit 1; }
	@rm -f .lock.new

lock: $(VENV)/.ready ## Bring requirements.lock up to pyproject.toml
	@$(MAKE) --no-print-directory compile TO=requirements.lock

.PHONY: compile
compile:
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --all-extras pyproject.toml build.in -o $(TO)

audit.lock: audit.in $(VENV)/.ready
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate audit.in -o $@

.audit/.ready: audit.lock
	@$(BIN)/python -m venv .audit
	@.audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r audit.lock
	@touch $@

audit: $(VENV)/.ready .audit/.ready ## Licences and known vulnerabilities of what is installed, and sbom.json (CycloneDX)
	@.audit/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --of JSON -o sbom.json
	@.audit/bin/python .ci/audit.py sbom.json requirements.lock

docs: $(VENV)/.ready ## Build the documentation as a website in site/; a broken link fails
	@$(BIN)/zensical build --strict --clean
	@echo "Open site/index.html in a browser."

reference: $(VENV)/.ready ## Write the generated tables and the glossary of the docs
	@$(BIN)/python -m features.reference docs/features.md
	@$(BIN)/python -m features.docs.crm_toml docs/crm-toml.md
	@$(BIN)/python -m scoring.scorecard.reference docs/scorecard.md
	@$(BIN)/python -m scoring.glossary docs
	@$(BIN)/python -m hotlead.reference docs/python.md

clean: ## Remove what was made
	rm -rf $(VENV) .audit sbom.json demo-crm site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
