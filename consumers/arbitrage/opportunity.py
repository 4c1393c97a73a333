"""What the engine tells: an opportunity opened, changed or closed, as the fields of a stream's entry. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self, cast, get_args

import orjson

from consumers.arbitrage.baskets import Kind
from consumers.arbitrage.payout import Tie
from marketdata.decimals import MICROS, from_micros, to_micros
from marketdata.errors import BookstreamError, EntryError

Action = Literal["open", "update", "close"]
Reason = Literal["", "price", "size", "empty", "gap", "stale", "old", "resolved", "catalog"]

FIELDS: Final = (
    "action",
    "basket",
    "kind",
    "group",
    "event",
    "payout",
    "guarantee",
    "ties",
    "size",
    "cost",
    "fees",
    "net",
    "bps",
    "legs",
    "catalog",
    "opened",
    "reason",
    "duration_ms",
    "best_net",
    "best_bps",
    "doubted_since_ms",
)
"""Of an entry of `opportunities:{P}`: always all of them, always in this order."""


class ToldLeg(NamedTuple):
    """A leg as it stood.

    Attributes:
        market: condition id.
        price, size: of the best ask, decimal spelling; empty where there was none.
        age_ms: since its own top was received, in the entries' time; 0 where there was none, None where an entry of
            an older engine does not tell.
        vouched_ms: since an entry last said that this is the top: its own, a trade or tick, or a clock's.
        entry: id of the token's last top; empty where there was none.
    """

    token: str
    market: str
    outcome: int
    price: str
    size: str
    age_ms: int | None
    vouched_ms: int
    entry: str


class Figures(NamedTuple):
    """What a basket is worth; millionths.

    Attributes:
        size: shares of each leg.
        cost, fees, net: dollars, of that many shares.
        prices: dollars a share, in the order of the legs.
    """

    size: int
    cost: int
    fees: int
    net: int
    prices: tuple[int, ...]

    @property
    def bps_hundredths(self) -> int:
        """Net profit in ten-thousandths of cost and fees, two places, rounded down."""
        return self.net * MICROS // (self.cost + self.fees)


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One entry of `opportunities:{P}`; see `docs/streams.md`.

    Attributes:
        payout, size_micros, cost_micros, fees_micros, net_micros: payout in dollars a share; the others of the
            whole. At a close: as they were told last.
        opened: id of the entry that opened it; empty at the opening.
        reason, duration_ms, best_net_micros, best_bps_hundredths: at a close.
        doubted_since_ms: at a close that a gap of a leg caused, if updates of it may have been missing already before
            the opportunity was told last: since when.
    """

    action: Action
    basket_id: str
    kind: Kind
    group: str
    events: tuple[str, ...]
    payout: int
    ties: tuple[Tie, ...]
    size_micros: int
    cost_micros: int
    fees_micros: int
    net_micros: int
    bps_hundredths: int
    legs: tuple[ToldLeg, ...]
    catalog: str
    opened: str = ""
    reason: Reason = ""
    duration_ms: int | None = None
    best_net_micros: int | None = None
    best_bps_hundredths: int | None = None
    doubted_since_ms: int | None = None

    @property
    def oldest_leg_ms(self) -> int | None:
        """Age of the top that was received first; None where it is not told."""
        ages = [leg.age_ms for leg in self.legs]
        return None if None in ages else max((one for one in ages if one is not None), default=None)

    def to_fields(self) -> dict[str, str]:
        """The fields in order, as plain strings; equal opportunities give equal bytes."""
        legs = orjson.dumps([leg._asdict() for leg in self.legs])
        return {
            "action": self.action,
            "basket": self.basket_id,
            "kind": self.kind,
            "group": self.group,
            "event": ",".join(self.events),
            "payout": str(self.payout),
            "guarantee": "except-tie" if self.ties else "strict",
            "ties": ",".join(f"{tie.strike}:{tie.pays}" for tie in self.ties),
            "size": from_micros(self.size_micros),
            "cost": from_micros(self.cost_micros),
            "fees": from_micros(self.fees_micros),
            "net": from_micros(self.net_micros),
            "bps": hundredths(self.bps_hundredths),
            "legs": legs.decode(),
            "catalog": self.catalog,
            "opened": self.opened,
            "reason": self.reason,
            "duration_ms": "" if self.duration_ms is None else str(self.duration_ms),
            "best_net": "" if self.best_net_micros is None else from_micros(self.best_net_micros),
            "best_bps": "" if self.best_bps_hundredths is None else hundredths(self.best_bps_hundredths),
            "doubted_since_ms": "" if self.doubted_since_ms is None else str(self.doubted_since_ms),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Reads what `to_fields` wrote, also that of engines that did not tell the age of a leg's own top.

        Raises:
            EntryError: not such an entry.
        """
        try:
            text = fields_as_text(fields)
            if text["action"] not in get_args(Action):
                raise ValueError(f"action {text['action'][:20]!r}")
            legs: list[dict[str, Any]] = orjson.loads(text["legs"])
            ties = [tie.split(":") for tie in text["ties"].split(",") if tie]
            return cls(
                action=cast(Action, text["action"]),
                basket_id=text["basket"],
                kind=cast(Kind, text["kind"]),
                group=text["group"],
                events=tuple(text["event"].split(",")) if text["event"] else (),
                payout=int(text["payout"]),
                ties=tuple(Tie(strike, int(pays)) for strike, pays in ties),
                size_micros=to_micros(text["size"]),
                cost_micros=to_micros(text["cost"]),
                fees_micros=to_micros(text["fees"]),
                net_micros=to_micros(text["net"]),
                bps_hundredths=to_micros(text["bps"]) // 10_000,
                legs=tuple(map(_told_leg, legs)),
                catalog=text["catalog"],
                opened=text["opened"],
                reason=cast(Reason, text["reason"]),
                duration_ms=int(text["duration_ms"]) if text["duration_ms"] else None,
                best_net_micros=to_micros(text["best_net"]) if text["best_net"] else None,
                best_bps_hundredths=to_micros(text["best_bps"]) // 10_000 if text["best_bps"] else None,
                doubted_since_ms=int(text["doubted_since_ms"]) if text["doubted_since_ms"] else None,
            )
        except (KeyError, ValueError, TypeError, BookstreamError) as error:
            raise EntryError(f"not an opportunity ({type(error).__name__} {str(error)[:80]})") from None


def fields_as_text(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields of an entry in order; the last one is empty in entries that were written before there was one.

    Raises:
        KeyError, UnicodeDecodeError: not such an entry.
    """
    return {name: fields[name.encode()].decode() for name in FIELDS[:-1]} | {
        FIELDS[-1]: fields.get(FIELDS[-1].encode(), b"").decode()
    }


def _told_leg(row: dict[str, Any]) -> ToldLeg:
    if "vouched_ms" not in row:
        # What older engines called its age.
        row = row | {"vouched_ms": row["age_ms"], "age_ms": None}
    return ToldLeg(**row)


def hundredths(number: int) -> str:
    """1234 is "12.34"."""
    return f"{number // 100}.{number % 100:02d}"
