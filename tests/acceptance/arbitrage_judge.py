"""Holds opportunities against the simulator's brute force and against Decimal, entry by entry.

Shares no code with the engine but the reading of fields: asks, bids, ends, cooldowns and money are kept here once
more, in the plainest way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal, localcontext
from itertools import groupby
from typing import Any

import redis

from consumers.arbitrage.opportunity import Opportunity
from marketdata.decimals import to_micros
from marketdata.entries import Entry, EntryId
from marketdata.keys import Keys
from marketdata.market import Market
from simulator.synthetic.bruteforce import Found, profitable_baskets
from simulator.synthetic.listing import Edge

MIN_BPS = 5
COOLDOWN_MS = 1000
Tokens = tuple[str, ...]


@dataclass
class Verdict:
    """What a comparison came to.

    Attributes:
        compared: moments at which all baskets of a family were worked out by brute force.
        halfway: moments at which that means nothing: one order is seen from one of its two tokens only.
        priced: opportunities whose money was worked out by Decimal.
        opened: by kind.
        found: planted edges that were told with the planted profit.
        cooling: planted edges on a basket that had just closed: no entry came between its cooldown and their end.
        mistakes: what differs.
    """

    entries: int = 0
    compared: int = 0
    halfway: int = 0
    priced: int = 0
    opened: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    found: int = 0
    cooling: int = 0
    mistakes: list[str] = field(default_factory=list)


class PartitionJudge:
    """One partition, entry by entry."""

    def __init__(self, markets: Iterable[Market], verdict: Verdict) -> None:
        self.verdict = verdict
        self.markets = {one.condition_id: one for one in markets}
        self.families: defaultdict[str, list[str]] = defaultdict(list)
        for one in self.markets.values():
            self.families[one.family].append(one.condition_id)
        self.asks: dict[str, tuple[int, int]] = {}
        self.bids: dict[str, int] = {}
        self.open: dict[Tokens, Opportunity] = {}
        self.cool_until_ms: dict[Tokens, int] = {}
        self.entries_ms: list[int] = []
        self.told: defaultdict[Tokens, list[tuple[int, int]]] = defaultdict(list)
        self.closed: defaultdict[Tokens, list[int]] = defaultdict(list)

    def entry(self, condition_id: str, entry: Entry) -> None:
        market = self.markets[condition_id]
        if entry.kind == "top":
            assert entry.outcome is not None
            token = market.tokens[entry.outcome]
            self._set(
                self.asks, token, (to_micros(entry.ask), to_micros(entry.ask_size)) if entry.ask else None
            )
            self._set(self.bids, token, to_micros(entry.bid) if entry.bid else None)
        elif entry.kind in ("gap", "resolved"):
            for token in market.tokens if entry.outcome is None else [market.tokens[entry.outcome]]:
                self.asks.pop(token, None)
                self.bids.pop(token, None)
            if entry.kind == "resolved":
                self.markets[condition_id] = replace(market, state="resolved", winner=int(entry.note))  # type: ignore[arg-type]

    def next_entry_ms(self, from_ms: int) -> float:
        """When the next entry of the partition comes: nothing can be told before."""
        place = bisect_left(self.entries_ms, from_ms)
        return self.entries_ms[place] if place < len(self.entries_ms) else float("inf")

    def opportunity(self, at: EntryId, found: Opportunity) -> None:
        tokens = tuple(leg.token for leg in found.legs)
        self.verdict.actions[found.action] += 1
        if found.action == "close":
            self.open.pop(tokens)
            self.cool_until_ms[tokens] = at.ms + COOLDOWN_MS
            self.closed[tokens].append(at.ms)
            return
        if found.action == "open":
            self.verdict.opened[found.kind] += 1
            if tokens in self.open:
                self.verdict.mistakes.append(f"{at}: opened twice")
        elif tokens not in self.open:
            self.verdict.mistakes.append(f"{at}: updated and not open")
        self.open[tokens] = found
        self.told[tokens].append((at.ms, found.net_micros))
        self.price(at, found)

    def price(self, at: EntryId, found: Opportunity) -> None:
        """The money once more, from the legs as they were told, in Decimal."""
        self.verdict.priced += 1
        for leg in found.legs:
            if self.asks.get(leg.token) != (to_micros(leg.price), to_micros(leg.size)):
                self.verdict.mistakes.append(f"{at}: {leg.token} is told at {leg.price} x {leg.size}")
        size, cost, fees, net = decimal_money(found, self.markets)
        told = [
            Decimal(n) / 10**6
            for n in (found.size_micros, found.cost_micros, found.fees_micros, found.net_micros)
        ]
        if told != [size, cost, fees, net]:
            self.verdict.mistakes.append(f"{at} {found.kind}: told {told}, it is {[size, cost, fees, net]}")

    def compare(self, at: EntryId, family: str) -> None:
        """All baskets of a family by brute force against those that are open."""
        ids = self.families[family]
        if any(self._is_halfway(self.markets[one]) for one in ids):
            self.verdict.halfway += 1
            return
        self.verdict.compared += 1
        tokens = {token for one in ids for token in self.markets[one].tokens}
        due = {
            found.tokens: found
            for found in profitable_baskets([self.markets[one] for one in ids], self.asks)
            if found.net_micros * 10_000 >= MIN_BPS * (found.cost_micros + found.fees_micros)
            and self.cool_until_ms.get(found.tokens, 0) <= at.ms
        }
        for name, one in self.open.items():
            if tokens.issuperset(name):
                self._same(at, name, one, due.pop(name, None))
        for missing in due.values():
            self.verdict.mistakes.append(f"{at}: missed a {missing.kind} of {missing.net_micros} millionths")

    def _same(self, at: EntryId, name: Tokens, told: Opportunity, due: Found | None) -> None:
        if due is None:
            self.verdict.mistakes.append(
                f"{at}: invented a {told.kind} of {told.net_micros} millionths, {name[0][:9]}"
            )
            return
        ours = (told.kind, told.payout, told.size_micros, told.cost_micros, told.fees_micros, told.net_micros)
        theirs = (due.kind, due.payout, due.size_micros, due.cost_micros, due.fees_micros, due.net_micros)
        low = tuple((tie.strike, tie.pays) for tie in told.ties if tie.pays < told.payout)
        if ours != theirs or [pays for _, pays in low] != [pays for _, pays in due.ties]:
            self.verdict.mistakes.append(f"{at}: told {ours} {low}, brute force says {theirs} {due.ties}")

    def _is_halfway(self, market: Market) -> bool:
        first, second = market.tokens
        return any(
            (self.bids.get(one) is None) != (self.asks.get(other) is None)
            or (one in self.bids and self.bids[one] + self.asks[other][0] != 1_000_000)
            for one, other in ((first, second), (second, first))
        )

    @staticmethod
    def _set(table: dict[str, Any], token: str, value: object) -> None:
        if value is None:
            table.pop(token, None)
        else:
            table[token] = value


def decimal_money(
    found: Opportunity, markets: dict[str, Market]
) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Size, cost, fees and net profit in shares and dollars, by the venue's fee page."""
    with localcontext() as context:
        context.prec = 60
        size = min(Decimal(leg.size) for leg in found.legs).quantize(Decimal("0.01"), rounding="ROUND_FLOOR")
        cost = fees = Decimal(0)
        for leg in found.legs:
            price, schedule = Decimal(leg.price), markets[leg.market].fees
            cost += price * size
            if schedule is not None:
                fee = size * Decimal(schedule.rate) * (price * (1 - price)) ** int(schedule.exponent)
                fees += fee.quantize(Decimal("0.00001"), rounding=ROUND_CEILING)
        cost = cost.quantize(Decimal("0.000001"), rounding=ROUND_CEILING)
        return size, cost, fees, found.payout * size - cost - fees


def judge(client: redis.Redis, edges: Iterable[Edge], *, every: int, prefix: str = "") -> Verdict:
    """Compares everything under a prefix.

    Args:
        every: brute force at each such moment at which something was told, and as often elsewhere.
    """
    verdict = Verdict()
    keys = Keys(prefix)
    records: Any = client.hgetall(keys.catalog)
    by_partition: defaultdict[int, list[Market]] = defaultdict(list)
    for record in records.values():
        market = Market.from_json(record)
        by_partition[market.partition].append(market)
    planted: defaultdict[Tokens, list[Edge]] = defaultdict(list)
    for edge in edges:
        planted[tuple(leg.token for leg in edge.legs)].append(edge)
    moments = 0
    for partition, markets in sorted(by_partition.items()):
        judge = PartitionJudge(markets, verdict)
        told = _opportunities(client, keys, partition)
        quiet = 0
        last = EntryId(0, 0)
        for at, condition_id, entry in _entries(client, keys, partition, markets):
            verdict.entries += 1
            last = at
            judge.entries_ms.append(at.ms)
            if entry is not None:
                judge.entry(condition_id, entry)
            here = told.pop(at, [])
            for place, (opportunity_id, one) in enumerate(here):
                if opportunity_id != EntryId(at.ms, at.n * 1000 + place):
                    verdict.mistakes.append(f"{opportunity_id} does not follow from {at}")
                judge.opportunity(opportunity_id, one)
            families = {judge.markets[leg.market].family for _, one in here for leg in one.legs}
            if not here and entry is not None:
                quiet += 1
                if quiet % (200 * every) == 0:
                    families = {judge.markets[condition_id].family}
            for family in sorted(families):
                moments += 1
                if not here or moments % every == 0:
                    judge.compare(at, family)
        verdict.mistakes += [f"{at} is no entry of partition {partition}" for at in told]
        mine = {token for market in markets for token in market.tokens}
        for tokens, ones in planted.items():
            if mine.issuperset(tokens):
                for edge in ones:
                    _look_for(judge, tokens, edge, last.ms)
    return verdict


def _look_for(judge: PartitionJudge, tokens: Tokens, edge: Edge, end_ms: int) -> None:
    verdict = judge.verdict
    told = [net for ms, net in judge.told[tokens] if edge.from_ms - 1 <= ms <= edge.until_ms + 2]
    if edge.net_micros in told:
        verdict.found += 1
    elif any(
        edge.from_ms - COOLDOWN_MS <= ms
        and judge.next_entry_ms(ms + COOLDOWN_MS) >= min(edge.until_ms, end_ms)
        for ms in judge.closed[tokens]
    ):
        verdict.cooling += 1
    elif edge.from_ms < end_ms - 100:
        verdict.mistakes.append(
            f"missed planted edge {edge.edge_id}, {edge.kind}, told {told}, {edge.net_micros}"
        )


def _opportunities(
    client: redis.Redis, keys: Keys, partition: int
) -> dict[EntryId, list[tuple[EntryId, Opportunity]]]:
    rows: Any = client.xrange(keys.opportunities(partition))
    told = [(EntryId.parse(raw), Opportunity.from_fields(fields)) for raw, fields in rows]
    return {at: list(some) for at, some in groupby(told, lambda one: EntryId(one[0].ms, one[0].n // 1000))}


def _entries(
    client: redis.Redis, keys: Keys, partition: int, markets: Iterable[Market]
) -> Iterator[tuple[EntryId, str, Entry | None]]:
    names = {keys.book(partition, one.condition_id): one.condition_id for one in markets}
    rows: list[tuple[EntryId, str, Any]] = []
    for name, condition_id in [*names.items(), (keys.clock(partition), "")]:
        found: Any = client.xrange(name)
        rows += [(EntryId.parse(raw), condition_id, fields) for raw, fields in found]
    rows.sort(key=lambda row: row[:2])
    for at, condition_id, fields in rows:
        yield at, condition_id, Entry.from_fields(fields) if condition_id else None
