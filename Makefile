# make run      sets up .venv once, then runs the whole method and shows its results
# make test     sets up .venv once, then runs `make lint` and all tests; Python 3.12 and later print the coverage too
# make coverage runs all tests with any Python and prints the lines that they do not reach
# make lint     checks style, types and the direction of imports, and builds the documentation
# make setup    only sets up .venv
# make lab      opens the notebook in JupyterLab
# make notebook executes the notebook into runs/ and makes an HTML page beside it
# make figures draws visualizations/ anew from results/, without training
# make report   makes research_report.pdf from results/ and visualizations/, where latexmk is installed
# make docs     builds the documentation site into build/site
# make clean    removes .venv and what tools have cached; results and unfinished trainings stay
#
# PYTHON=python3.12 chooses the interpreter (3.11 to 3.13). LWCNN_DATA_DIR, where set, names the folder of datasets.

PYTHON ?= python3
VENV := .venv
# A Python of your own choice is taken or refused; else that of the present set-up goes on, or the first that fits.
CANDIDATES := $(if $(filter file,$(origin PYTHON)),$(VENV)/bin/python $(PYTHON) python3.13 python3.12 python3.11,$(PYTHON))
NOTEBOOK := lightweight_cnn_cifar10
SHELL := /bin/sh

.DEFAULT_GOAL := run
.PHONY: run test coverage lint setup lab notebook figures report docs clean

run: setup
	@$(VENV)/bin/python -m lwcnn run

# From 3.12 on, Python counts lines itself and at no cost; before, tracing takes a sixth more time.
TESTS := -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: export COVERAGE_CORE := sysmon
test: lint
	@if $(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then \
	    $(VENV)/bin/python $(TESTS) --cov --cov-report= && \
	    echo "Coverage: $$($(VENV)/bin/python -m coverage report --format=total)% of the lines"; \
	else $(VENV)/bin/python $(TESTS); fi

coverage: setup
	@$(VENV)/bin/python $(TESTS) --cov --cov-report=term-missing:skip-covered

lint: setup
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/python -m lwcnn.publication.notebook.strip --check $(NOTEBOOK).ipynb
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

lab: setup
	@$(VENV)/bin/python -m jupyterlab $(NOTEBOOK).ipynb

notebook: setup
	@mkdir -p runs
	@$(VENV)/bin/python -m papermill --log-output $(NOTEBOOK).ipynb runs/$(NOTEBOOK).ipynb
	@$(VENV)/bin/python -m nbconvert --to html runs/$(NOTEBOOK).ipynb

# Exit code 3 of the command: some figures lacked their input and were skipped, which it names; the others are drawn.
figures: setup
	@$(VENV)/bin/python -m lwcnn figures

report: setup
	@$(VENV)/bin/python -m lwcnn report

docs: setup
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict
	@mkdir -p build/site/models && cp models/*.md build/site/models && cp -R visualizations build/site  # pages link to them

# The last step of a set-up writes down what it was made from, so one that failed, was interrupted, has been moved
# or was made from something else is done again from nothing. Contents count, not times: git does not keep times.
setup:
	@set -eu; \
	python=; \
	for candidate in $(CANDIDATES); do \
	    found=$$("$$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys._base_executable)' 2>/dev/null) || continue; \
	    version=$${found%% *}; \
	    case $$version in 3.11|3.12|3.13) python=$${found#* }; break;; esac; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "lwcnn needs Python 3.11, 3.12 or 3.13: install one, or name it as in 'make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12'." >&2; \
	    echo "Received: $(PYTHON), which $$($(PYTHON) --version 2>&1 | sed 's/^/is /;q' | grep -E '^is Python [0-9.]+$$' || echo 'does not run')" >&2; \
	    exit 1; \
	fi; \
	key="$$version $$(cat requirements.txt pyproject.toml | cksum) $$(pwd -P)"; \
	if [ "$$(cat $(VENV)/made-from 2>/dev/null)" = "$$key" ] && $(VENV)/bin/python -c '' 2>/dev/null; then exit 0; fi; \
	echo "Setting up $(VENV) with Python $$version: some minutes, this once; it takes 3 GB of disk."; \
	rm -rf $(VENV); \
	if ! "$$python" -m venv $(VENV) >$(VENV).log 2>&1; then \
	    cat $(VENV).log >&2; rm -rf $(VENV) $(VENV).log; \
	    echo "$$python can't make a virtual environment: on Debian or Ubuntu, apt-get install python3-venv." >&2; \
	    exit 1; \
	fi; \
	rm -f $(VENV).log; \
	pip="$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check"; \
	$$pip uv==0.13.9; \
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --cache-dir $(VENV)/cache --system-certs \
	    --compile-bytecode --only-binary :all: --no-deps -r requirements.txt || $$pip --only-binary :all: --no-deps -r requirements.txt; \
	rm -rf $(VENV)/cache; \
	$$pip --no-build-isolation --no-deps -e .; \
	echo "$$key" >$(VENV)/made-from

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache .coverage*
	find lwcnn tests -name __pycache__ -type d -prune -exec rm -rf {} +
