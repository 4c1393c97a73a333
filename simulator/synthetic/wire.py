"""The venue's words for a market: books, hashes, and the messages of a step. Pure.

Source of spellings, order and spacing: captured traffic; live messages have a space behind each comma between
members, the dump and the REST answers have none.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from marketdata.decimals import MICROS, from_micros
from marketdata.venue import last_trade_spelling
from simulator.feed import Frame
from simulator.synthetic.exchange import Market
from simulator.synthetic.ladder import price_text, size_text
from simulator.synthetic.steps import Fill, Step

BESTS_KEPT: Final = 16_384


class Wire:
    """One market on the wire.

    Args:
        market: whose books it writes.
        flips_last_trade: whether the venue keeps 1 - p as this market's last trade price.
        ms: of the last change before the market was looked at.

    Attributes:
        ms: timestamp of the last step, or of the last trade told.
        hashes: of both tokens at the last step, which was at `book_ms`.
        key: whom its frames concern.
    """

    __slots__ = ("_flips", "_heads", "_seen", "_starts", "_tail", "book_ms", "hashes", "key", "market", "ms")

    def __init__(self, market: Market, *, flips_last_trade: bool, ms: int) -> None:
        self.market = market
        self.ms = self.book_ms = ms
        condition_id = market.listing.condition_id
        self.key = frozenset((condition_id,))
        self._flips = flips_last_trade
        self._heads = tuple(
            f'{{"market":"{condition_id}","asset_id":"{token}","timestamp":"'
            for token in market.listing.tokens
        )
        self._starts = tuple(f'"asset_id":"{token}", ' for token in market.listing.tokens)
        self._tail = ""
        self._seen: set[str] = set()
        self.refresh()
        self.hashes = self._hashes(ms)

    def refresh(self) -> None:
        """Tick or last trade changed: the hash covers them."""
        listing = self.market.listing
        version = ',"version":"v2"' if listing.version == "v2" else ""
        self._tail = (
            f'],"min_order_size":"{from_micros(listing.min_order_size_micros)}",'
            f'"tick_size":"{price_text(self.market.tick)}","neg_risk":{"true" if listing.neg_risk else "false"},'
            f'"last_trade_price":"{self.last_trade}"{version}}}'
        )

    @property
    def last_trade(self) -> str:
        """The last trade's price as books and hashes spell it; one value for both tokens."""
        price = self.market.last_trade
        if price is None:
            return ""
        return last_trade_spelling(MICROS - price if self._flips else price)

    def socket_book(self, outcome: int) -> bytes:
        """A token's book as the initial dump has it."""
        version = ',"version":"v2"' if self.market.listing.version == "v2" else ""
        return (
            f'{self._head(outcome)}"tick_size":"{price_text(self.market.tick)}","event_type":"book",'
            f'"last_trade_price":"{self.last_trade}"{version}}}'
        ).encode()

    def rest_book(self, outcome: int) -> bytes:
        """A token's book as `/book` answers it."""
        return (self._head(outcome) + self._tail[2:]).encode()

    def messages(self, step: Step, now_ms: int, *, swapped: bool = False, early: bool = False) -> list[Frame]:
        """The frames of a step that was just made, in order.

        Args:
            now_ms: Unix milliseconds; the step gets this time, or a later one that does not go back.
            swapped: the token that sells stands first, and the first change is told twice, as seen now and then.
            early: best_bid_ask goes ahead of the levels.
        """
        if step.shows_books:
            self.refresh()
        self._stamp(now_ms)
        own = self.market.best()
        bests = _spelt(*own)
        told = self._best(bests) if own != step.best_before else []
        found = told if early else []
        found += [*self._ticks(step), *self._changes(step, bests, swapped)]
        if step.shows_books:
            found += [Frame(self._book(outcome), self.key) for outcome in (0, 1)]
        return found if early else found + told

    def trade(self, fill: Fill, taker_buys: bool, outcome: int, ms: int, transaction: str) -> Frame:
        """The last_trade_price message.

        Args:
            outcome: of the token that the taker's order was for.
            ms: its own time, 35 to 40 ms after the step.
            transaction: 64 hex digits.
        """
        self.ms = max(ms, self.ms)
        price = MICROS - fill.price if outcome else fill.price
        side = "BUY" if taker_buys is (outcome == 0) else "SELL"
        data = (
            f'{{"market":"{self.market.listing.condition_id}", {self._starts[outcome]}'
            f'"price":"{price_text(price)}", "size":"{from_micros(fill.size)}", "fee_rate_bps":"0", '
            f'"side":"{side}", "timestamp":"{self.ms}", "event_type":"last_trade_price", '
            f'"transaction_hash":"0x{transaction}"}}'
        )
        return Frame(data.encode(), self.key)

    def _stamp(self, now_ms: int) -> None:
        ms = max(now_ms, self.ms)
        if ms != self.book_ms:
            self._seen.clear()
        self.hashes = self._hashes(ms)
        if self.hashes[0] in self._seen:
            # Two steps that lead to one book would look like one step, so they do not share a millisecond.
            self._seen.clear()
            ms += 1
            self.hashes = self._hashes(ms)
        self._seen.add(self.hashes[0])
        self.ms = self.book_ms = ms

    def _hashes(self, ms: int) -> tuple[str, str]:
        bids, asks, tail = self.market.bids, self.market.asks, self._tail
        own, other = self._heads
        first = f'{own}{ms}","hash":"","bids":[{bids.text(0)}],"asks":[{asks.text(0)}{tail}'
        second = f'{other}{ms}","hash":"","bids":[{asks.text(1)}],"asks":[{bids.text(1)}{tail}'
        return (
            hashlib.sha1(first.encode(), usedforsecurity=False).hexdigest(),
            hashlib.sha1(second.encode(), usedforsecurity=False).hexdigest(),
        )

    def _levels(self, outcome: int) -> tuple[str, str]:
        bids, asks = self.market.bids, self.market.asks
        return (bids.text(0), asks.text(0)) if outcome == 0 else (asks.text(1), bids.text(1))

    def _head(self, outcome: int) -> str:
        bids, asks = self._levels(outcome)
        return (
            f'{self._heads[outcome]}{self.book_ms}","hash":"{self.hashes[outcome]}",'
            f'"bids":[{bids}],"asks":[{asks}],'
        )

    def _changes(
        self, step: Step, bests: tuple[tuple[str, str], tuple[str, str]], swapped: bool
    ) -> list[Frame]:
        (bid, ask), (other_bid, other_ask) = bests
        start, other_start = self._starts
        first, second = self.hashes
        end = f'", "hash":"{first}", "best_bid":"{bid}", "best_ask":"{ask}"}}'
        other_end = f'", "hash":"{second}", "best_bid":"{other_bid}", "best_ask":"{other_ask}"}}'
        head = f'{{"market":"{self.market.listing.condition_id}", "price_changes":[{{'
        tail = f'], "timestamp":"{self.ms}", "event_type":"price_change"}}'
        found = []
        for is_bid, price in step.levels:
            size = size_text(self.market.side(is_bid).total(price))
            here = f'{start}"price":"{price_text(price)}", "size":"{size}", "side":"'
            there = f'{other_start}"price":"{price_text(MICROS - price)}", "size":"{size}", "side":"'
            if is_bid:
                pair = f"{here}BUY{end}", f"{there}SELL{other_end}"
            else:
                pair = f"{there}BUY{other_end}", f"{here}SELL{end}"
            found.append(Frame(f"{head}{pair[0]}, {{{pair[1]}{tail}".encode(), self.key))
            if swapped:
                swapped = False
                found.append(Frame(f"{head}{pair[1]}, {{{pair[0]}{tail}".encode(), self.key))
        return found

    def _ticks(self, step: Step) -> list[Frame]:
        if not step.old_tick:
            return []
        return [
            Frame(
                (
                    f'{{"market":"{self.market.listing.condition_id}", {start}'
                    f'"old_tick_size":"{price_text(step.old_tick)}", '
                    f'"new_tick_size":"{price_text(self.market.tick)}", '
                    f'"timestamp":"{self.ms}", "event_type":"tick_size_change"}}'
                ).encode(),
                self.key,
            )
            for start in self._starts
        ]

    def _best(self, bests: tuple[tuple[str, str], tuple[str, str]]) -> list[Frame]:
        bid, ask = self.market.best()
        spread = price_text((ask or MICROS) - bid)
        return [
            Frame(
                (
                    f'{{"market":"{self.market.listing.condition_id}", {start}"best_bid":"{best_bid}", '
                    f'"best_ask":"{best_ask}", "spread":"{spread}", "timestamp":"{self.ms}", '
                    f'"event_type":"best_bid_ask"}}'
                ).encode(),
                self.key,
                custom_only=True,
            )
            for start, (best_bid, best_ask) in zip(self._starts, bests, strict=True)
        ]

    def _book(self, outcome: int) -> bytes:
        """The short form that follows a fill."""
        bids, asks = (text.replace('","', '", "').replace("},{", "}, {") for text in self._levels(outcome))
        version = ', "version":"v2"' if self.market.listing.version == "v2" else ""
        return (
            f'{{"market":"{self.market.listing.condition_id}", {self._starts[outcome]}'
            f'"bids":[{bids}], "asks":[{asks}], "hash":"{self.hashes[outcome]}", "timestamp":"{self.ms}", '
            f'"event_type":"book"{version}}}'
        ).encode()


@lru_cache(maxsize=BESTS_KEPT)
def _spelt(bid: int, ask: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Best bid and ask of both tokens; "0" says that there are no bids, "1" that there are no asks."""
    ask = ask or MICROS
    return (price_text(bid), price_text(ask)), (price_text(MICROS - ask), price_text(MICROS - bid))
