# Two commands: `make run` starts everything on this machine, `make test` checks everything.
# `make test-long` is for what takes long or measures time; `make bench` measures against the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Test processes side by side. A file of tests stays in one of them, for its servers; long ones come first.
WORKERS ?= 2
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test test-long bench bench-long docs explore coverage lint unit setup clean
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

test: lint
	$(BIN)/python -m pytest $(SHARED) $(ARGS)

# One at a time: what measures time must not share the processors with other tests.
test-long: setup
	$(BIN)/python -m pytest -m long $(ARGS)

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

# The property tests with examples that nobody has tried yet.
explore: setup
	$(BIN)/python -m pytest $(SHARED) -m hypothesis --hypothesis-profile=explore tests/unit $(ARGS)

# Apart from `test`: counting branches doubles the time of the unit tests.
coverage: setup
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build
