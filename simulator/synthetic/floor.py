"""The trading floor: world, traders and wire put together. Pure: times in, frames out.

The same seed, start, sizes and sequence of acts give the same bytes.
"""

from __future__ import annotations

import heapq
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import log
from random import Random
from typing import Any, Final

import orjson

from simulator.feed import Frame
from simulator.synthetic.exchange import Market
from simulator.synthetic.flow import Trader
from simulator.synthetic.listing import (
    FairMoved,
    Listed,
    Listing,
    Quote,
    Resolved,
    Shown,
    Withdrawn,
    World,
    WorldEvent,
)
from simulator.synthetic.sizes import Sizes
from simulator.synthetic.steps import Fill, Step
from simulator.synthetic.truth import Truth
from simulator.synthetic.wire import Wire

FLAT_OUT_RATE: Final = 100_000.0
"""Flat out, the venue's time passes as if so many messages were sent a second, so it seldom runs ahead."""

TRADE_TOLD_MS: Final = (35, 40)
"""A trade is told so long after its books."""

LIVELY_MS: Final = 50.0
"""How lively the venue is, is asked for this often."""

OLDEST_CHANGE_S: Final = 3600.0
TRIES: Final = 20
REPEAT_SHARE: Final = 0.002
"""Of steps: the first change is told twice, once with the tokens the other way round."""


class Desk:
    """All that belongs to one open market."""

    __slots__ = ("market", "tokens", "trader", "trades_due_ms", "wire")

    def __init__(self, market: Market, trader: Trader, wire: Wire) -> None:
        self.market = market
        self.trader = trader
        self.wire = wire
        self.trades_due_ms = 0
        self.tokens = market.listing.tokens


class Floor:
    """Everything that trades.

    Args:
        world: what exists and what it is worth.
        rate: messages a second, best_bid_ask included; 0: as many as are asked for.
        seed: of the order flow; the world has its own.
        start_ms: Unix milliseconds.
        truth: gets every end of a step.
        before: what happened until now, if the world is older; planted orders that still stand are placed.

    Attributes:
        due_ms: when `act` is wanted next; until then nothing happens.
        messages: made so far.
        desks: by condition id; open markets only.
    """

    def __init__(
        self,
        world: World,
        *,
        rate: float,
        seed: int,
        start_ms: int,
        truth: Truth,
        before: Iterable[WorldEvent] = (),
    ) -> None:
        self.world = world
        self.truth = truth
        self.messages = 0
        self.steps = 0
        self.desks: dict[str, Desk] = {}
        self._rate = rate or FLAT_OUT_RATE
        self._random = Random(f"flow {seed}")
        self._sizes = Sizes(Random(f"sizes {seed}"))
        self._by_token: dict[str, tuple[Desk, int]] = {}
        self._order: list[Desk] = []
        self._cumulated: list[float] = []
        self._next_ms = float(start_ms)
        self._lively, self._lively_until_ms = 1.0, 0.0
        self._world_waits = True
        self._trades: list[tuple[int, int, Desk, Fill, bool, int, str]] = []
        self._trade_number = 0
        listings = world.listings()
        heaviest = max((listing.weight for listing in listings), default=1.0)
        self._heaviest = heaviest
        for listing in listings:
            age_s = min(self._random.expovariate(1.0) * 20 * heaviest / listing.weight, OLDEST_CHANGE_S)
            self._open(listing, start_ms - 1 - int(age_s * 1000), start_ms)
        self._weigh()
        for quote in standing(before):
            if (desk := self.desks.get(quote.condition_id)) is not None:
                self._told(desk, desk.trader.pin(quote), start_ms)

    @property
    def due_ms(self) -> float:
        """When something happens next, Unix milliseconds."""
        return min(self._next_ms, self._trades[0][0]) if self._trades else self._next_ms

    @property
    def next_ms(self) -> float:
        """When the next step is due; a trade may have to be told before."""
        return self._next_ms

    def skip_to(self, now_ms: float) -> None:
        """Nothing happens before `now_ms`."""
        self._next_ms = max(self._next_ms, now_ms)

    def find(self, token_id: str) -> tuple[Desk, int] | None:
        """The market of a token, and which of its outcomes it is; None for an unknown or resolved one."""
        return self._by_token.get(token_id)

    def shown(self, condition_id: str) -> Shown:
        """What a market shows, for Gamma's rows.

        Raises:
            KeyError: not an open market.
        """
        market = self.desks[condition_id].market
        return Shown(market.bids.best or None, market.asks.best or None, market.last_trade, market.tick)

    def act(self) -> list[Frame]:
        """Does what is due at `due_ms`; the frames are to be sent before anybody looks at a book again."""
        frames: list[Frame] = []
        if self._trades and self._trades[0][0] <= self._next_ms:
            frames += self._tell_trade()
        else:
            now_ms = int(self._next_ms)
            # In turn with the traders, or a low rate would leave the floor to the world alone.
            if self._world_waits and self.world.next_ms() <= now_ms:
                for event in self.world.advance(now_ms):
                    frames += self._happens(event, now_ms)
                self._world_waits = not frames
            else:
                self._world_waits = True
                frames += self._somebody_trades(now_ms)
        self.messages += len(frames)
        # A message costs its share of time on average, whoever caused it, so the rate is held in the long run.
        if frames:
            cost_ms = len(frames) * 1000 / (self._rate * self._liveliness())
            self._next_ms += cost_ms * -log(1.0 - self._random.random())
        return frames

    def _liveliness(self) -> float:
        if self._next_ms >= self._lively_until_ms:
            self._lively = max(self.world.activity(int(self._next_ms)), 0.01)
            self._lively_until_ms = self._next_ms + LIVELY_MS
        return self._lively

    def _open(self, listing: Listing, ms: int, now_ms: int) -> None:
        market = Market(listing)
        liveliness = min(1.0, (listing.weight / self._heaviest) ** 0.5)
        trader = Trader(
            market, self.world.fair_yes_micros(listing.condition_id), liveliness, self._random, self._sizes
        )
        trader.open()
        flips = int(listing.condition_id[2:10], 16) % 2 == 1
        desk = Desk(market, trader, Wire(market, flips_last_trade=flips, ms=ms))
        self.desks[listing.condition_id] = desk
        for outcome, token in enumerate(listing.tokens):
            self._by_token[token] = desk, outcome
        self._record(desk, now_ms)

    def _close(self, condition_id: str) -> Desk:
        desk = self.desks.pop(condition_id)
        for token in desk.tokens:
            del self._by_token[token]
        self._trades = [trade for trade in self._trades if trade[2] is not desk]
        heapq.heapify(self._trades)
        return desk

    def _weigh(self) -> None:
        self._order = list(self.desks.values())
        self._cumulated = list(accumulate(desk.market.listing.weight for desk in self._order))

    def _somebody_trades(self, now_ms: int) -> list[Frame]:
        for _ in range(TRIES):
            if not self._order:
                break
            desk = self._order[bisect(self._cumulated, self._random.random() * self._cumulated[-1])]
            if (step := desk.trader.ordinary()) is not None:
                return self._told(desk, step, now_ms)
        # Nobody wanted anything: time has to pass all the same.
        self._next_ms += 1000 / self._rate
        return []

    def _happens(self, event: WorldEvent, now_ms: int) -> Iterator[Frame]:
        match event:
            case FairMoved():
                yield from self._fairs_move(event, now_ms)
            case Quote():
                desk = self.desks[event.condition_id]
                yield from self._told(desk, desk.trader.pin(event), now_ms)
            case Withdrawn():
                desk = self.desks[event.condition_id]
                yield from self._told(desk, desk.trader.unpin(event), now_ms)
            case Listed(listing):
                self._open(listing, now_ms, now_ms)
                self._weigh()
                yield _announcement(listing.condition_id, self.world.new_market(listing.condition_id, now_ms))
            case Resolved(condition_id, winner):
                desk = self._close(condition_id)
                self._weigh()
                ms = max(now_ms, desk.wire.ms)
                self.truth.resolved(desk.tokens, ms, winner)
                yield _announcement(condition_id, self.world.market_resolved(condition_id, ms))

    def _fairs_move(self, event: FairMoved, now_ms: int) -> Iterator[Frame]:
        """All markets of the group first lose what the new values forbid; only then is anything new placed."""
        moved = [(self.desks[condition_id], fair) for condition_id, fair in event.fairs]
        last = len(moved) - 1
        for place, (desk, fair) in enumerate(moved):
            if (step := desk.trader.give_way(fair, may_rest=place == last)) is not None:
                yield from self._told(desk, step, now_ms)
        for desk, _ in moved:
            if (step := desk.trader.new_grid()) is not None:
                yield from self._told(desk, step, now_ms)

    def _told(self, desk: Desk, step: Step, now_ms: int) -> list[Frame]:
        draw = self._random.random()
        frames = desk.wire.messages(step, now_ms, swapped=draw < REPEAT_SHARE, early=draw > 0.5)
        self.steps += 1
        if step.fills:
            self._expect_trades(desk, step)
        if step.old_tick:
            self.truth.tick(desk.tokens, desk.wire.ms, desk.market.tick)
        self._record(desk, desk.wire.book_ms)
        return frames

    def _record(self, desk: Desk, since_ms: int) -> None:
        top = (*desk.market.bids.top(), *desk.market.asks.top())
        self.truth.top(desk.tokens, desk.wire.book_ms, top, desk.wire.hashes, since_ms=since_ms)

    def _expect_trades(self, desk: Desk, step: Step) -> None:
        """Fills of a market are told in their order: who reads believes the last one to be in force."""
        random = self._random
        desk.trades_due_ms = max(desk.wire.ms + random.randint(*TRADE_TOLD_MS), desk.trades_due_ms)
        outcome = int(random.random() < 0.5)
        transaction = f"{random.getrandbits(256):064x}"
        for fill in step.fills:
            self._trade_number += 1
            heapq.heappush(
                self._trades,
                (
                    desk.trades_due_ms,
                    self._trade_number,
                    desk,
                    fill,
                    step.taker_buys,
                    outcome,
                    transaction,
                ),
            )

    def _tell_trade(self) -> list[Frame]:
        due_ms, _, desk, fill, taker_buys, outcome, transaction = heapq.heappop(self._trades)
        frame = desk.wire.trade(fill, taker_buys, outcome, due_ms, transaction)
        price = 1_000_000 - fill.price if outcome else fill.price
        self.truth.trade(
            desk.tokens, desk.wire.ms, outcome, price, fill.size, is_buy=taker_buys is (outcome == 0)
        )
        return [frame]


def standing(events: Iterable[WorldEvent]) -> list[Quote]:
    """The planted orders among these events that were not taken back."""
    quotes: dict[tuple[str, str, int], Quote] = {}
    for event in events:
        match event:
            case Quote():
                quotes[event.condition_id, event.side, event.price_micros] = event
            case Withdrawn():
                quotes.pop((event.condition_id, event.side, event.price_micros), None)
    return list(quotes.values())


def _announcement(condition_id: str, message: dict[str, Any]) -> Frame:
    return Frame(orjson.dumps(message), frozenset((condition_id,)), custom_only=True, everywhere=True)
