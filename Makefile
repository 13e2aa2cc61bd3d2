# make run: try Tagline. make test: the whole suite. make proof: the long forms. make bench: the benchmarks.
PYTHON := $(shell command -v python3 || command -v python)
ENTER := $(PYTHON) cdp/bootstrap.py

.PHONY: run test proof bench lint messages

run:
	@$(ENTER) manage.py run

test:
	@$(ENTER) --dev -m pytest

proof:
	@$(ENTER) --dev -m tests.proof

bench:
	@$(ENTER) --dev -m benchmarks

lint:
	@$(ENTER) --dev -m ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy .

messages:
	@$(ENTER) --dev manage.py make_messages
