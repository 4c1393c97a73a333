"""What the venue's messages share: the book hash, spellings and limits.

Source of the rules: Polymarket's market channel documentation and captured traffic; the hash is the one of
the official Python client, extended by the keys that were seen since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

from marketdata.decimals import MICROS, from_micros, to_micros

HashForm = Literal["full", "no-last-trade", "bare"]
"""Which keys a book hash covers: today's, those of October 2025, those of 2024."""

HASH_FORMS: Final[tuple[HashForm, ...]] = ("full", "no-last-trade", "bare")

MAX_IDS_A_FRAME: Final = 100
"""More token ids than this in one subscription frame get the connection closed."""

MAX_TOKENS_A_CONNECTION: Final = 500
"""Beyond this the venue stops sending first books."""

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""A frame above this ends the connection with close code 1009."""


EVERY_LAST_TRADE: Final = ("", *(f"0.{thousandths:03}" for thousandths in range(1, 1000)))
"""All that the last trade can be where prices have three decimals."""


def book_hash(
    *,
    market: str,
    asset_id: str,
    timestamp: str,
    bids: Iterable[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
    min_order_size: str = "5",
    tick_size: str = "0.01",
    neg_risk: bool = False,
    last_trade_price: str = "",
    version: str = "",
    form: HashForm = "full",
) -> str:
    """The venue's checksum of one token's whole book: SHA-1 as 40 hex digits.

    Args:
        market: condition id, as on the wire.
        asset_id: token id.
        timestamp: Unix milliseconds, of the message.
        bids: (price, size) in wire order, worst first, in wire spelling.
        asks: the same; descending prices, best last.
        min_order_size: from the market's metadata.
        tick_size: as it is now.
        neg_risk: from the market's metadata.
        last_trade_price: three decimals, or empty before the first trade; one value for both tokens.
        version: "v2" for markets of protocol v2, else empty.
        form: which keys take part.
    """
    text = _before_last_trade(
        market, asset_id, timestamp, bids, asks, min_order_size, tick_size, neg_risk, form
    )
    if form == "full":
        text += last_trade_price + _after_last_trade(version)
    else:
        text += "}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def last_trade_that_hashes(
    wanted: str,
    last_trades: Iterable[str],
    *,
    market: str,
    asset_id: str,
    timestamp: str,
    bids: Iterable[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
    min_order_size: str,
    tick_size: str,
    neg_risk: bool,
    version: str = "",
) -> str | None:
    """The first of `last_trades` with which a whole book has the hash `wanted` of today's form; None: none.

    A book for which one is found is right: its levels take part in the hash, too. They are read once, for the last
    trade stands behind them: all of EVERY_LAST_TRADE take about a millisecond. Arguments as for `book_hash`.
    """
    text = _before_last_trade(
        market, asset_id, timestamp, bids, asks, min_order_size, tick_size, neg_risk, "full"
    )
    before = hashlib.sha1(text.encode(), usedforsecurity=False)
    end = _after_last_trade(version)
    for last_trade in last_trades:
        hashed = before.copy()
        hashed.update((last_trade + end).encode())
        if hashed.hexdigest() == wanted:
            return last_trade
    return None


def _before_last_trade(
    market: str,
    asset_id: str,
    timestamp: str,
    bids: Iterable[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
    min_order_size: str,
    tick_size: str,
    neg_risk: bool,
    form: HashForm,
) -> str:
    # Every value is a plain number, hex or ASCII word, so no escaping can be needed.
    parts = [
        f'{{"market":"{market}","asset_id":"{asset_id}","timestamp":"{timestamp}","hash":"","bids":[',
        ",".join(f'{{"price":"{price}","size":"{size}"}}' for price, size in bids),
        '],"asks":[',
        ",".join(f'{{"price":"{price}","size":"{size}"}}' for price, size in asks),
        "]",
    ]
    if form != "bare":
        parts.append(
            f',"min_order_size":"{min_order_size}","tick_size":"{tick_size}",'
            f'"neg_risk":{"true" if neg_risk else "false"}'
        )
    if form == "full":
        parts.append(',"last_trade_price":"')
    return "".join(parts)


def _after_last_trade(version: str) -> str:
    return f'","version":"{version}"}}' if version else '"}'


def last_trade_spelling(price_micros: int) -> str:
    """A trade's price as the book hash spells it: three decimals, "0.490"; more only where they are needed."""
    short = from_micros(price_micros)
    whole, _, places = short.partition(".")
    return f"{whole}.{places.ljust(3, '0')}"


def last_trade_candidates(price: str) -> tuple[str, str]:
    """The two spellings the venue may use after a trade at `price`: its own, and one minus it."""
    micros = to_micros(price)
    return last_trade_spelling(micros), last_trade_spelling(MICROS - micros)


def is_no_bid(best_bid: str) -> bool:
    """Whether a venue's best_bid says that there are no bids."""
    return best_bid == "" or to_micros(best_bid) == 0


def is_no_ask(best_ask: str) -> bool:
    """Whether a venue's best_ask says that there are no asks: "1", also seen "0" and empty."""
    return best_ask == "" or to_micros(best_ask) in (0, MICROS)


def padded_condition_id(text: str) -> str:
    """A condition id of 0x and 64 hex digits; protocol v2 rows of Gamma come with 62, padded right.

    Source: the socket and the CLOB carry the same value with zeros at the right.
    """
    body = text.lower().removeprefix("0x")
    return "0x" + (body.ljust(64, "0") if len(body) == 62 else body)
