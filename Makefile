# make run: try Tagline. make test: the whole suite. make proof: the long forms. make bench: the benchmarks.
# The first Python 3 that really runs: a name on the PATH may be a shim that only fails. It makes .venv; any version will do.
PYTHON := $(shell for one in .venv/bin/python python3 python3.14 python3.13 python3.12 python "$$HOME"/.pyenv/versions/*/bin/python3; do \
	"$$one" -c 'import sys; sys.exit(sys.version_info[0] < 3)' >/dev/null 2>&1 && echo "$$one" && break; done)
NO_PYTHON = Tagline needs Python 3.12 or newer, and no Python 3 runs here. Install one (Debian, Ubuntu: apt install python3 \
	python3-venv; macOS: brew install python@3.13; others: python.org), then run this again
ENTER = $(if $(PYTHON),$(PYTHON),$(error $(NO_PYTHON))) cdp/bootstrap.py

.PHONY: run test proof bench lint messages

run:
	@$(ENTER) manage.py run

# What fails beside others is run again, alone: a browser or a broker on a busy machine may be late once. What fails twice fails,
# and what needs no such part (tests/conftest.py) fails at once: a race that is lost one time in five is a fault.
test:
	@$(ENTER) --dev -m pytest -n auto --dist loadfile; ended=$$?; [ $$ended -eq 1 ] || exit $$ended; \
	AGAIN=1 $(ENTER) --dev -m pytest --last-failed --last-failed-no-failures none

proof:
	@$(ENTER) --dev -m tests.proof

bench:
	@$(ENTER) --dev -m benchmarks

lint:
	@$(ENTER) --dev -m ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy .

messages:
	@$(ENTER) --dev manage.py make_messages
