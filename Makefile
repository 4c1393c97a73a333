# Everything stays inside .venv; `make help` lists the targets.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench picture prove-synthetic prove-groups prove-arbitrage prove-replay public-client

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(STAMP) ## make .venv and install everything into it

demo: $(STAMP) ## run everything in this terminal on a simulated venue (ARGS="--markets 200 --edges 6" passes more)
	@$(BIN)/bookstream up --venue simulated $(ARGS) || [ $$? -eq 130 ] # Ctrl-C is its ordinary end

test: $(STAMP) ## run the tests (ARGS="tests/unit -k book" chooses)
	PYTHONFAULTHANDLER=1 $(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## formatting, lint, types and tests, as CI does
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONFAULTHANDLER=1 $(BIN)/python -m pytest $(ARGS)

bench: $(STAMP) ## measure, side by side with simpler ways to do the same
	$(BIN)/python -m benchmarks.spine $(ARGS)
	$(BIN)/python -m benchmarks.groups
	$(BIN)/python -m benchmarks.arbitrage

prove-synthetic: $(STAMP) ## a minute of 1,000 markets at 2,000 messages/s held against the truth, into docs/proofs
	$(BIN)/python -m tests.acceptance.synthetic_run --out docs/proofs/synthetic.txt $(ARGS)

prove-groups: $(STAMP) ## kill a member of a group 1,000 times at every stage of its work, into docs/proofs
	$(BIN)/python -m tests.acceptance.group_kills --out docs/proofs/groups.txt $(ARGS)

prove-arbitrage: $(STAMP) ## find 10,000 planted edges in 1,000,000 entries, against brute force, into docs/proofs
	$(BIN)/python -m tests.acceptance.arbitrage_run --out docs/proofs/arbitrage.txt $(ARGS)

prove-replay: $(STAMP) ## record a simulated hour of 500 markets and replay it in every way, into docs/proofs
	$(BIN)/python -m tests.acceptance.replay_run --out docs/proofs/replay.txt $(ARGS)

public-client: $(STAMP) ## read the synthetic venue with NautilusTrader, installed into .venv-public-client
	PYTHON=$(BIN)/python tests/public_client/run.sh $(ARGS)

picture: $(STAMP) ## make the README's picture anew
	$(BIN)/python -m docs.make_picture

# The stamp is written last, so an installation that broke off is made again.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "make: $(PYTHON) is not here; install Python 3.11 or newer, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), but 3.11 or newer is needed; say make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,native]" -c constraints.txt
	@touch $@
