# Two commands: `make run` starts everything on this machine, `make test` checks everything.
# `make test-long` is for what takes long or measures time; `make bench` measures against the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Test processes side by side: on two cores one more, as tests wait for clocks, browsers and other processes. A file of
# tests stays in one of them, for its servers; long ones come first.
WORKERS ?= 3
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Each test is named when it ends; what was measured is told at the end. That ARGS leave nothing of a part is no failure of it.
LONG   := $(BIN)/python -m pytest -vv --durations=20
NONE   := 5

# A module that is not compiled is compiled by every process that a test starts, and there are many.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-long test-long-shared test-long-quiet bench bench-long docs release lock licences audit explore coverage lint collect unit setup clean
.DEFAULT_GOAL := run

# The virtual environment is rebuilt only when the dependency list changes.
$(VENV)/.installed: pyproject.toml ui/lock.json tests/wheels.txt
	@echo "==> installing the Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable \
		"$$(command -v node > /dev/null && echo '.[dev]' || echo '.[dev,node]')"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/wheels.txt
	@$(BIN)/python -m compileall -q ecpmon
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	@echo "==> installing what the benches need besides"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

setup: $(VENV)/.installed

run: setup
	@exec $(BIN)/ecpmon up $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest tests/unit

# Linting takes one processor, and so does compiling the tests: here, once for all workers. What is wrong with a test is
# told by them.
test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint collect
	$(BIN)/python -m pytest $(SHARED) $(ARGS)

collect: setup
	@$(BIN)/python -m pytest --collect-only --quiet $(ARGS) > /dev/null 2>&1 || true

# First what does not measure time, side by side; then what does, one at a time, on a machine with nothing else to do.
# The second part runs though the first failed.
test-long: setup
	@$(MAKE) --no-print-directory test-long-shared; shared=$$?; \
		$(MAKE) --no-print-directory test-long-quiet && exit $$shared

test-long-shared: setup
	$(LONG) $(SHARED) -m 'long and not quiet' $(ARGS) || [ $$? -eq $(NONE) ]

test-long-quiet: setup
	$(LONG) -rP -m quiet $(ARGS) || [ $$? -eq $(NONE) ]

# 15 minutes on two cores with nothing else to do, and hours.
bench: $(VENV)/.bench
	$(BIN)/python -m bench.run $(ARGS)

bench-long: $(VENV)/.bench
	$(BIN)/python -m bench.run --long $(ARGS)

# The documents as a site, in build/docs.
$(VENV)/.docs: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

# The wheel, the chart, the lock and the bill of materials of one version, in dist/. Needs helm.
release: setup
	@$(BIN)/python -m release.build $(ARGS)

$(VENV)/.release: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[release]'
	@touch $@

# What the service runs with, by version and hash: the newest that pyproject.toml allows. No address of an index is in it.
lock: $(VENV)/.release
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-annotate \
		--no-emit-index-url --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

licences: setup
	@$(BIN)/python -m release.licences

# Asks the index about each version of the lock; changes nothing.
audit: $(VENV)/.release
	@$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off $(ARGS)

# The property tests with examples that nobody has tried yet.
explore: setup
	$(BIN)/python -m pytest $(SHARED) -m hypothesis --hypothesis-profile=explore tests/unit $(ARGS)

# Apart from `test`: counting branches doubles the time of the unit tests.
coverage: setup
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist
