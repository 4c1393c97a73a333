"""What the dashboard costs while it shows 2,000 markets at 5,000 updates a second.

The real program runs in a terminal of its own beside a Redis that is written to by this process: market streams with
legal entries, and a worker's record once a second. Its processor time, its memory and the commands that it sends are
taken from the system and from Redis.

    python -m benchmarks.dashboard [--markets 2000] [--rate 5000] [--seconds 20] [--width 200] [--height 60]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import redis
from rich.console import Console
from rich.table import Table

from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.market import Market
from tests.dashboard_world import connection, record
from tests.redis_server import PrivateRedis
from tests.stream_writer import demo_markets

CPU_LIMIT: Final = 0.15
MEMORY_LIMIT_MB: Final = 150
COMMANDS_LIMIT: Final = 50

_BATCHES_A_SECOND: Final = 20
_PAGES: Final = ("1", "2", "5", "1")
_WARM_UP_S: Final = 6.0
_INFO_A_SECOND: Final = 0.5


class Feed:
    """Writes as a worker does. Runs in a thread, so that the terminal is read meanwhile."""

    def __init__(self, server: PrivateRedis, markets: int, rate: int) -> None:
        self.client = server.client()
        self.written = 0
        self._rate = rate
        self._keys = Keys()
        self._markets = [_market(number) for number in range(markets)]
        self._entries = {market.condition_id: 0 for market in self._markets}
        self._streams = [self._keys.book(one.partition, one.condition_id) for one in self._markets]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        pipe = self.client.pipeline(transaction=False)
        for market in self._markets:
            pipe.hset(self._keys.catalog, market.condition_id, market.to_json())
        pipe.xadd(self._keys.catalog_log, {"id": "all", "why": "new"})
        pipe.set(self._keys.contract_partitions, 64)
        pipe.execute()

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.client.close()

    def _run(self) -> None:
        began_s, batches, spoke_s = time.monotonic(), 0, 0.0
        while not self._stop.is_set():
            self._write(self._rate // _BATCHES_A_SECOND)
            batches += 1
            if time.monotonic() - spoke_s >= 1:
                spoke_s = time.monotonic()
                self._speak()
            self._stop.wait(max(began_s + batches / _BATCHES_A_SECOND - time.monotonic(), 0))

    def _write(self, entries: int) -> None:
        pipe = self.client.pipeline(transaction=False)
        for _ in range(entries):
            self.written += 1
            # A tenth of the markets takes half of the updates, as at the venue.
            spread = len(self._markets) // (10 if self.written % 2 else 1)
            at = (self.written * 7919) % spread
            bid = 10 + self.written % 80
            fields = {
                "kind": "top",
                "outcome": self.written % 2,
                "bid": f"0.{bid}",
                "bid_size": self.written % 10_000,
                "ask": f"0.{bid + 1}",
                "ask_size": "25.5",
                "venue_ms": now_ms(),
                "recv_us": now_ms() * 1000,
                "gen": 1,
                "seq": self.written,
                "skipped": 0,
                "note": "",
            }
            pipe.xadd(self._streams[at], fields, maxlen=200, approximate=True)  # type: ignore[arg-type]
            self._entries[self._markets[at].condition_id] += 1
        pipe.execute()

    def _speak(self) -> None:
        at_ms = now_ms()
        counted = {"trades": 3, "last_ms": at_ms, "spread": "0.01", "matches": 900, "mismatches": 0}
        connections = [connection(f"c{number}", frames=self.written // 80) for number in range(80)]
        word = record(
            now_ms=at_ms,
            connections=connections,
            tokens=2 * len(self._markets),
            tokens_live=2 * len(self._markets),
            counters={"updates": self.written, "gaps": 0},
            by_market={one: {"entries": count, **counted} for one, count in self._entries.items()},
            log=[{"ms": at_ms, "what": "market", "text": f"new market {at_ms}"}],
        )
        pipe = self.client.pipeline(transaction=False)
        pipe.set(self._keys.worker("alpha-1"), orjson.dumps(word), ex=10)
        pipe.zadd(self._keys.workers, {"alpha-1": at_ms})
        for partition in range(64):
            pipe.xadd(self._keys.clock(partition), {"worker": "alpha-1"}, maxlen=100)
        pipe.execute()


def _market(number: int) -> Market:
    made = demo_markets()[number % 12]
    question = f"{made.question[:-1]} in case number {number}?"
    return replace(made, condition_id=f"0x{number:064x}", question=question, partition=number % 64)


class Program:
    """The dashboard in a terminal that is read and thrown away."""

    def __init__(self, server: PrivateRedis, width: int, height: int) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._ours = ours
        self.bytes_read = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bookstream", "dashboard", "--redis-url", server.url],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.bytes_read += len(os.read(self._ours, 65_536))
            except OSError:
                return

    def press(self, key: str) -> None:
        """Types."""
        os.write(self._ours, key.encode())

    def cpu_s(self) -> float:
        """Processor time so far."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory, at its highest."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def end(self) -> int:
        """Leaves it; gives the exit code."""
        self.press("q")
        code = self._process.wait(20)
        self._reader.join(5)
        os.close(self._ours)
        return code


def _commands(client: redis.Redis) -> int:
    """Commands so far, but for those that this process sends and INFO, which both do."""
    stats: dict[str, Any] = client.info("commandstats")  # type: ignore[assignment]
    ours = ("cmdstat_xadd", "cmdstat_set", "cmdstat_zadd", "cmdstat_hset", "cmdstat_info")
    return sum(one["calls"] for name, one in stats.items() if name not in ours)


def main() -> None:
    """Measures, prints a table, and fails where a limit is not kept."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("markets", 2_000),
        ("rate", 5_000),
        ("seconds", 20),
        ("width", 200),
        ("height", 60),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with PrivateRedis(appendonly=False) as server, Feed(server, given.markets, given.rate) as feed:
        program = Program(server, given.width, given.height)
        time.sleep(_WARM_UP_S)
        began_s, cpu_s, commands, written = (
            time.monotonic(),
            program.cpu_s(),
            _commands(feed.client),
            feed.written,
        )
        drawn = program.bytes_read
        for page in _PAGES:
            program.press(page)
            time.sleep(given.seconds / len(_PAGES))
        passed_s = time.monotonic() - began_s
        result = {
            "updates a second": (feed.written - written) / passed_s,
            "part of a core": (program.cpu_s() - cpu_s) / passed_s,
            "MB of memory": program.memory_mb(),
            "Redis commands a second": (_commands(feed.client) - commands) / passed_s + _INFO_A_SECOND,
            "kB drawn a second": (program.bytes_read - drawn) / passed_s / 1000,
        }
        code = program.end()
    _show(result, given)
    limits = {
        "part of a core": CPU_LIMIT,
        "MB of memory": MEMORY_LIMIT_MB,
        "Redis commands a second": COMMANDS_LIMIT,
    }
    over = [name for name, limit in limits.items() if result[name] >= limit]
    if over or code:
        sys.exit(f"over the limit: {', '.join(over)}" if over else f"the dashboard ended with {code}")


def _show(result: dict[str, float], given: argparse.Namespace) -> None:
    if given.json:
        print(json.dumps({name: round(number, 3) for name, number in result.items()}))
        return
    title = f"dashboard: {given.markets:,} markets, {given.width} x {given.height}, {given.seconds} s"
    table = Table("", "measured", "limit", title=title)
    limits = {"part of a core": f"{CPU_LIMIT:.0%}", "MB of memory": str(MEMORY_LIMIT_MB)}
    limits["Redis commands a second"] = str(COMMANDS_LIMIT)
    for name, number in result.items():
        text = f"{number:.1%}" if name == "part of a core" else f"{number:,.1f}"
        table.add_row(name, text, limits.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    main()
