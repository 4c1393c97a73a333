"""The synthetic feed beside the recordings, as a table for docs/simulator.md.

python -m tests.synthetic_statistics
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from marketdata.clock import now_ms
from simulator.captured.capture import PlayedAnswer, load_capture
from simulator.synthetic.opening import Synthetic, synthetic_feed

CAPTURED = Path(__file__).parent / "data" / "captures" / "ws_captured"
SECONDS = 300


class Figures:
    """What a feed looks like."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.steps: Counter[tuple[str, ...]] = Counter()
        self.levels: list[int] = []
        self.sizes: list[float] = []
        self.removals = 0
        self.seconds: Counter[int] = Counter()
        self.by_market: defaultdict[str, int] = defaultdict(int)

    def take(self, messages: Iterable[dict[str, Any]], second: int = 0) -> None:
        for row in messages:
            kind = str(row.get("event_type"))
            self.kinds[kind] += 1
            self.seconds[second] += 1
            self.by_market[str(row.get("market"))] += 1
            if kind == "book":
                self.levels += [len(row["bids"]), len(row["asks"])]
            if kind == "price_change" and "price_changes" in row:
                first = row["price_changes"][0]
                hashes = sorted(one["hash"] for one in row["price_changes"])
                self.steps[row["market"], row["timestamp"], *hashes] += 1
                if first["size"] == "0":
                    self.removals += 1
                else:
                    self.sizes.append(float(first["size"]))

    def rows(self) -> dict[str, str]:
        changes = self.kinds["price_change"]
        lengths = sorted(self.steps.values())
        others = self.kinds.total() - self.kinds["best_bid_ask"]
        return {
            "price changes": f"{changes:,}",
            "of all messages, best_bid_ask aside": f"{changes / max(1, others):.0%}",
            "messages a step, mean and most": f"{sum(lengths) / max(1, len(lengths)):.2f}, {lengths[-1]}",
            "removals among changes": f"{self.removals / max(1, sum(self.steps.values())):.0%}",
            "levels a side, least, median, most": f"{min(self.levels)}, {median(self.levels):g}, {max(self.levels)}",
            "size at a changed level, median, nine in ten below": (
                f"{median(self.sizes):g}, {sorted(self.sizes)[len(self.sizes) * 9 // 10]:g}"
            ),
        }


def recorded() -> Figures:
    figures = Figures()
    for path in sorted(CAPTURED.iterdir()):
        for step in load_capture(path).steps:
            if not isinstance(step, PlayedAnswer):
                figures.take(dict(message) for message in step.messages())
    return figures


def synthetic() -> Figures:
    figures = Figures()
    start_ms = now_ms()
    floor = synthetic_feed(Synthetic(markets=60, rate=500, seed=1, start_ms=start_ms)).floor
    for desk in floor.desks.values():
        figures.take([orjson.loads(desk.wire.socket_book(0))])
    while floor.due_ms < start_ms + SECONDS * 1000:
        second = int(floor.due_ms - start_ms) // 1000
        figures.take([orjson.loads(frame.data) for frame in floor.act()], second)
    return figures


def main() -> None:
    ours, theirs = synthetic(), recorded()
    print("| | synthetic, 5 minutes of the default | recordings in tests/data |\n| --- | --- | --- |")
    for name, value in ours.rows().items():
        print(f"| {name} | {value} | {theirs.rows()[name]} |")
    counts = sorted(ours.by_market.values(), reverse=True)
    print(
        f"| messages a second, mean and busiest | {sum(counts) / SECONDS:.0f}, {max(ours.seconds.values())} | |"
    )
    print(f"| share of the busiest six of sixty markets | {sum(counts[:6]) / sum(counts):.0%} | |")


if __name__ == "__main__":
    main()
