"""Faults of the REST calls: errors, cut connections, and a stale shell where a book should be."""

from __future__ import annotations

from typing import Any, Final

from marketdata.venue import book_hash
from simulator.faults.behaviour import Behaviour
from simulator.venue.conduct import Refusal

UNAVAILABLE: Final = 503
SHELL_SIZE: Final = "100"


class RestError(Behaviour):
    """Answers with an HTTP status."""

    def rest_refusal(self, path: str) -> Refusal | None:
        if not path.startswith(self.fault.path) or not self.takes():
            return None
        return Refusal(self.fault.status or UNAVAILABLE, self.fault.retry_after_s or None)


class RestDown(Behaviour):
    """Cuts the connection without an answer."""

    def rest_refusal(self, path: str) -> Refusal | None:
        return Refusal(0) if path.startswith(self.fault.path) and self.takes() else None


class RestShell(Behaviour):
    """Tells an empty-looking book, 0.01 bid and 0.99 asked. Source: public clients report such answers."""

    def rest_book(self, book: dict[str, Any]) -> dict[str, Any]:
        market = str(book.get("market"))
        if not self.case.concerns_token(0, str(book.get("asset_id")), market) or not self.takes():
            return book
        return shell(book, self.stage.clock_ms() - round(self.fault.age_s * 1000))


def shell(book: dict[str, Any], ms: int) -> dict[str, Any]:
    """The shell of a book as of a time, Unix milliseconds; its hash is its own."""
    bids, asks = [("0.01", SHELL_SIZE)], [("0.99", SHELL_SIZE)]
    return {
        **book,
        "timestamp": str(ms),
        "hash": book_hash(
            market=str(book["market"]),
            asset_id=str(book["asset_id"]),
            timestamp=str(ms),
            bids=bids,
            asks=asks,
            min_order_size=str(book.get("min_order_size", "5")),
            tick_size=str(book.get("tick_size", "0.01")),
            neg_risk=book.get("neg_risk") is True,
            last_trade_price=str(book.get("last_trade_price", "")),
            version=str(book.get("version", "")),
        ),
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
    }
