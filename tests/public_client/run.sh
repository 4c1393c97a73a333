#!/usr/bin/env bash
# Reads the synthetic venue with NautilusTrader's Polymarket adapter and compares every top with the truth.
# The adapter's packages go into an environment of their own; the simulator runs from this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PYTHON="${PYTHON:-.venv/bin/python}"
CLIENT="${CLIENT:-.venv-public-client}"
SECONDS_READ="${SECONDS_READ:-20}"
SEED="${SEED:-$RANDOM}"

if ! "$CLIENT/bin/python" -c 'import nautilus_trader, websockets' 2>/dev/null; then
  "$PYTHON" -m venv "$CLIENT"
  "$CLIENT/bin/python" -m pip install --quiet -r tests/public_client/requirements.txt
fi

ADDRESS="$(mktemp)"
"$PYTHON" -m bookstream simulate --synthetic --listen 127.0.0.1:0 --seed "$SEED" "$@" >"$ADDRESS" &
SIMULATOR=$!
trap 'kill "$SIMULATOR" 2>/dev/null; wait "$SIMULATOR" 2>/dev/null || true; rm -f "$ADDRESS"' EXIT
for _ in $(seq 300); do
  [ -s "$ADDRESS" ] && break
  kill -0 "$SIMULATOR"
  sleep 0.1
done
echo "seed $SEED"
"$CLIENT/bin/python" tests/public_client/read_with_nautilus.py "$(head -1 "$ADDRESS")" "$SECONDS_READ"
