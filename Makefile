# Everything stays inside .venv; `make help` lists the targets.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# Most tests wait for clocks and sockets: several files at once, each in one process.
AT_ONCE ?= -n 3 --dist loadfile
PURE_TESTS := tests/unit/worker $(addprefix tests/unit/test_,$(addsuffix .py,\
  backoff entries families gamma_fields keys market partitions proof selection sharding times venue))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench pictures prove-synthetic prove-replay prove-raw-capture prove-rollovers prove-many-tokens prove-faults fuzz coverage public-client prove-groups prove-arbitrage

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(STAMP) ## make .venv and install everything into it

demo: $(STAMP) ## run everything in this terminal on a simulated venue (ARGS="--markets 200 --edges 6" passes more)
	@$(BIN)/bookstream up --venue simulated $(ARGS) || [ $$? -eq 130 ] # Ctrl-C is its ordinary end

test: $(STAMP) ## run the tests (ARGS="tests/unit -k book" chooses)
	PYTHONFAULTHANDLER=1 $(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

check: $(STAMP) ## formatting, lint, types, tests and their coverage, as CI does
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONFAULTHANDLER=1 $(BIN)/python -m pytest $(AT_ONCE) $(ARGS)
	$(MAKE) --no-print-directory coverage

bench: $(STAMP) ## measure, side by side with simpler ways to do the same
	$(BIN)/python -m benchmarks.spine $(ARGS)
	$(BIN)/python -m benchmarks.dashboard
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

prove-raw-capture: $(STAMP) ## record two minutes of 300 markets as received and play them again, into docs/proofs
	$(BIN)/python -m tests.acceptance.raw_run --out docs/proofs/raw-capture.txt $(ARGS)

prove-faults: $(STAMP) ## storms, silence, doctored messages and 500 faults by chance in half an hour, into docs/proofs
	$(BIN)/python -m tests.acceptance.fault_run --out docs/proofs/faults.txt $(ARGS)

prove-rollovers: $(STAMP) ## 1,000 markets end and 1,000 come, in each socket mode, into docs/proofs
	$(BIN)/python -m tests.acceptance.rollovers --out docs/proofs/rollovers.txt $(ARGS)

prove-many-tokens: $(STAMP) ## how long 2,500, 5,000 and 10,000 tokens take to be subscribed, into docs/proofs
	$(BIN)/python -m tests.acceptance.many_tokens --out docs/proofs/many_tokens.txt $(ARGS)

fuzz: $(STAMP) ## 1,000,000 mutated frames, into docs/proofs
	$(BIN)/python -m tests.acceptance.fuzz_run --out docs/proofs/fuzz.txt $(ARGS)

coverage: $(STAMP) ## every branch of the pure modules, by tests that need nothing but memory
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q $(PURE_TESTS)
	$(BIN)/coverage report

public-client: $(STAMP) ## read the synthetic venue with NautilusTrader, installed into .venv-public-client
	PYTHON=$(BIN)/python tests/public_client/run.sh $(ARGS)

pictures: $(STAMP) ## make the README's pictures anew
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
