"""What a recording does not say but its hashes tell: neg_risk, tick size, last trade price in force. Pure.

The venue's book hash covers these values, so the ones under which a recorded book verifies are the true ones.
The last trade price changes with the books after a fill, before the trade itself is told, and may be the
trade's price or one minus it; that is why the market's next trades are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice, product
from typing import Final

from marketdata.decimals import to_micros
from marketdata.errors import DecimalError
from marketdata.venue import HASH_FORMS, HashForm, book_hash, last_trade_candidates
from simulator.captured.addressing import market_of
from simulator.captured.books import MIN_ORDER_SIZE, Books, MarketState, TokenBook
from simulator.captured.reader import Message

TICK_SIZES: Final = ("0.01", "0.001", "0.005", "0.0025", "0.0001", "0.1")
"""All that the venue has used, the commonest first."""

LAST_TRADE_SEARCHES: Final = 50
"""Markets of a recording for which every possible last trade price is tried: 50 ms each."""

TRADES_AHEAD: Final = 3
"""One fill may be told as several trades; the hash has the last of them."""

SEARCHES_A_MARKET: Final = 20
"""A market of which this many books verify under nothing (trimmed recordings) is not searched further."""


class UpcomingTrades:
    """The trades of a recording, looked at from a place in it that only moves forward."""

    def __init__(self) -> None:
        self._trades: dict[str, deque[tuple[int, str]]] = {}

    def add(self, place: int, condition_id: str, price: str) -> None:
        """Notes a trade told by the frame at `place`; in rising order of places."""
        self._trades.setdefault(condition_id, deque()).append((place, price))

    def after(self, place: int, condition_id: str) -> list[str]:
        """Prices of the market's next trades told after `place`, soonest first."""
        trades = self._trades.get(condition_id)
        if trades is None:
            return []
        while trades and trades[0][0] <= place:
            trades.popleft()
        return [price for _, price in islice(trades, TRADES_AHEAD)]


@dataclass(slots=True)
class Findings:
    """What was found out about one market before its first frame.

    Attributes:
        neg_risk: False where no hash covers it.
        tick_size: at the start of the recording.
        version: "v2" for protocol v2, else empty.
        form: of the hashes; None where none verified.
    """

    neg_risk: bool = False
    tick_size: str = ""
    version: str = ""
    form: HashForm | None = None
    failures: int = 0


@dataclass(slots=True)
class Study:
    """Goes through a recording frame by frame, as it will be played."""

    markets: dict[str, Findings] = field(default_factory=dict)
    _books: Books = field(default_factory=Books)
    _finest: dict[str, str] = field(default_factory=dict)
    _searches_left: int = LAST_TRADE_SEARCHES

    def frame(self, place: int, messages: Sequence[Message], trades: UpcomingTrades) -> dict[str, str]:
        """Takes in one frame; gives the last trade prices that are in force from it on, by condition id.

        Args:
            place: of the frame in the recording.
            messages: of the frame.
            trades: all of the recording.

        Raises:
            VenueFormatError: a level that cannot be read.
        """
        self._books.apply(messages, {})
        found: dict[str, str] = {}
        for message in messages:
            market = market_of(message)
            if not market:
                continue
            findings = self.markets.setdefault(market, Findings())
            match message.get("event_type"):
                case "book":
                    findings.tick_size = findings.tick_size or str(message.get("tick_size") or "")
                    findings.version = findings.version or str(message.get("version") or "")
                    self._see_prices(market, [*message["bids"], *message["asks"]])
                    token_id = str(message["asset_id"])
                    state = self._books.market(market)
                    before = state.last_trade_price
                    self._verify(
                        findings, token_id, self._books.tokens[token_id], trades.after(place, market)
                    )
                    if state.last_trade_price != before:
                        found[market] = state.last_trade_price
                case "tick_size_change":
                    findings.tick_size = findings.tick_size or str(message.get("old_tick_size") or "")
        return found

    def finish(self) -> None:
        """Gives a market whose tick size nothing told the coarsest one that its prices allow."""
        for market, findings in self.markets.items():
            findings.tick_size = findings.tick_size or self._finest.get(market, TICK_SIZES[0])

    def _see_prices(self, market: str, levels: Iterable[Mapping[str, str]]) -> None:
        places = max((len(level["price"].rstrip("0").partition(".")[2]) for level in levels), default=2)
        tick_size = "0.0001" if places > 3 else "0.001" if places == 3 else "0.01"
        self._finest[market] = min(self._finest.get(market, tick_size), tick_size, key=to_micros)

    def _verify(self, findings: Findings, token_id: str, book: TokenBook, trades: Sequence[str]) -> None:
        if not book.hash or findings.failures >= SEARCHES_A_MARKET:
            return
        state = self._books.market(book.market)
        tick_size = state.tick_size or findings.tick_size
        last_trades = _unique([state.last_trade_price, *_candidates(trades), ""])
        tries: Iterable[Try]
        if findings.form is not None:
            tries = product((findings.form,), (findings.neg_risk,), (tick_size,), last_trades)
        else:
            ticks = (tick_size,) if tick_size else TICK_SIZES
            tries = product(HASH_FORMS, (False, True), ticks, last_trades)
            if self._is_last_trade_unknown(findings, state, trades):
                self._searches_left -= 1
                finest = (tick_size or self._finest[book.market],)
                tries = chain(tries, product(("full",), (False, True), finest, _every_last_trade()))
        for form, neg_risk, tick, last_trade in tries:
            if _hash(token_id, book, state, form, neg_risk, tick, last_trade) == book.hash:
                findings.form, findings.failures = form, 0
                if form != "bare":
                    findings.neg_risk = neg_risk
                    findings.tick_size = findings.tick_size or tick
                if form == "full":
                    state.last_trade_price = last_trade
                return
        findings.failures += 1

    def _is_last_trade_unknown(self, findings: Findings, state: MarketState, trades: Sequence[str]) -> bool:
        told = state.last_trade_price or trades or findings.failures
        return not told and self._searches_left > 0


Try = tuple[HashForm, bool, str, str]


def _every_last_trade() -> Iterator[str]:
    return (f"0.{thousandths:03d}" for thousandths in range(1, 1000))


def _candidates(prices: Iterable[str]) -> Iterator[str]:
    for price in prices:
        with suppress(DecimalError):
            yield from last_trade_candidates(price)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _hash(
    token_id: str,
    book: TokenBook,
    state: MarketState,
    form: HashForm,
    neg_risk: bool,
    tick_size: str,
    last_trade_price: str,
) -> str:
    return book_hash(
        market=book.market,
        asset_id=token_id,
        timestamp=book.timestamp,
        bids=book.wire_bids(),
        asks=book.wire_asks(),
        min_order_size=MIN_ORDER_SIZE,
        tick_size=tick_size,
        neg_risk=neg_risk,
        last_trade_price=last_trade_price,
        version=state.version,
        form=form,
    )
