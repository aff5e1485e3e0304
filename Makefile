# Everything needs git, Python 3.11 and make. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH := .venv-bench
AUDIT := .venv-audit
SIZE := quick

.DEFAULT_GOAL := help
.PHONY: help demo dev test pytest lint format bench docs audit constraints clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(INSTALLED) ## Install, load two made-up organisations, show the result
	@$(BIN)/onelens-claude demo

dev: $(INSTALLED) ## Open the Dagster UI over your settings, or over the demo
	@$(BIN)/onelens-claude dev

test: $(INSTALLED) ## Lint and run the whole test suite, both at once
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest:
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=

lint: $(INSTALLED) ## Check style, types and SQL format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfmt --check --quiet --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

format: $(INSTALLED) ## Rewrite code and SQL in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfmt --quiet --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

bench: $(BENCH)/.installed ## Measure against other ways to load the same data (SIZE=full for all of it)
	@$(BENCH)/bin/python -m benchmarks --$(SIZE)

docs: $(INSTALLED) ## Write the catalogue of tables and columns to site/index.html
	@$(BIN)/onelens-claude docs --out site

audit: $(INSTALLED) $(AUDIT)/.installed ## Licences, bill of materials and known vulnerabilities of the dependencies
	$(AUDIT)/bin/pip-licenses --python $(BIN)/python --from=mixed --fail-on UNKNOWN \
		--ignore-packages onelens-claude axe-playwright-python  # the second is MIT, which only its licence file says
	@mkdir -p site
	$(AUDIT)/bin/cyclonedx-py environment $(BIN)/python --output-format JSON --output-file site/sbom.cdx.json
	@echo "The bill of materials is in site/sbom.cdx.json"
	$(AUDIT)/bin/pip-audit --requirement constraints.txt --disable-pip --require-hashes --progress-spinner off

constraints: ## Pin every dependency anew, with hashes and without addresses (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --no-strip-extras --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file constraints.txt

clean: ## Remove the demo, caches and build output; never data/ or onelens.yaml
	rm -rf demo dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 13) or sys.exit("Python 3.11 or 3.12 is needed; found %d.%d. Try: make PYTHON=python3.11" % v)'
	@echo "Installing the pinned dependencies into $(VENV) (a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(AUDIT)/.installed: audit/constraints.txt
	@echo "Installing the audit's tools into $(AUDIT) ..."
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r audit/constraints.txt
	@touch $@

# A place of its own: the contenders are no dependencies of the product.
$(BENCH)/.installed: constraints.txt benchmarks/constraints.txt
	@echo "Installing the contenders into $(BENCH) ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/constraints.txt
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
