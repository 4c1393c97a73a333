"""Corrections of the catalog by a file: for what a title hides or a reading got wrong. Pure but for reading the file.

    [markets.0xe5e79c…]             a condition id, or a slug
    lower = "64000"                 strikes; "" where the interval is open
    upper = ""
    kind = "threshold"              or "range"
    family = "price:bitcoin:Binance BTC/USDT:2026-11-30T17:00:00Z"

    [markets.will-x-happen]
    exclude = "its question is ambiguous"

    [events.bitcoin-price-on-march-6]
    exclude = "settles on another source"

TOML, or the same in JSON. A correction holds for readers of the catalog only: what workers write stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from consumers.catalog.complaints import complaint, parse
from marketdata.decimals import to_micros
from marketdata.errors import DecimalError, SettingsError
from marketdata.market import Market

MOST_BYTES: Final = 10_000_000


def _strike(text: str) -> str:
    try:
        if text:
            to_micros(text)
    except DecimalError as error:
        raise ValueError(f'a strike is a decimal number in quotes, as "64000.5" ({error})') from None
    return text


Strike = Annotated[str, AfterValidator(_strike)]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class EventOverride(BaseModel):
    """What a file says of an event."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    exclude: Reason


class MarketOverride(BaseModel):
    """What a file says of a market; None where it says nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    exclude: Reason | None = None
    kind: Literal["threshold", "range"] | None = None
    lower: Strike | None = None
    upper: Strike | None = None
    family: Annotated[str, Field(min_length=1, max_length=300)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> MarketOverride:
        corrected = any(one is not None for one in (self.kind, self.lower, self.upper, self.family))
        if corrected == (self.exclude is not None):
            raise ValueError("say either exclude, or some of kind, lower, upper, family")
        if self.lower and self.upper and to_micros(self.lower) >= to_micros(self.upper):
            raise ValueError("lower must be below upper")
        return self

    def corrected(self, market: Market) -> Market:
        """The record as the file wants it."""
        if self.exclude is not None:
            return replace(market, left_out=f"excluded: {self.exclude}")
        kind = self.kind or market.family_kind
        lower = market.lower if self.lower is None else self.lower
        upper = market.upper if self.upper is None else self.upper
        left_out = ""
        if kind == "threshold" and not lower:
            left_out = "the overrides name no lower strike for a threshold"
        elif kind == "threshold" and upper:
            left_out = "the overrides name an upper strike for a threshold, which has none"
        elif kind == "range" and not (lower or upper):
            left_out = "the overrides name no strike for a range"
        elif lower and upper and to_micros(lower) >= to_micros(upper):
            left_out = f"with the overrides it goes from {lower} to {upper}"
        family = self.family or market.family
        return replace(market, family=family, family_kind=kind, lower=lower, upper=upper, left_out=left_out)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    markets: dict[str, MarketOverride] = {}
    events: dict[str, EventOverride] = {}


_KNOWN: Final = {
    "": tuple(_File.model_fields),
    "markets": tuple(MarketOverride.model_fields),
    "events": tuple(EventOverride.model_fields),
}


class Overrides:
    """The corrections of one file.

    Attributes:
        digest: eight hex digits that change with the meaning of the file; empty for no file.
    """

    def __init__(self, markets: Mapping[str, MarketOverride], events: Mapping[str, EventOverride]) -> None:
        self._markets = {name.lower(): one for name, one in markets.items()}
        self._events = {name.lower(): one for name, one in events.items()}
        said = {
            "markets": {name: one.model_dump() for name, one in sorted(self._markets.items())},
            "events": {name: one.model_dump() for name, one in sorted(self._events.items())},
        }
        whole = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        self.digest = hashlib.sha256(whole).hexdigest()[:8] if markets or events else ""

    def apply(self, markets: Iterable[Market]) -> list[Market]:
        """The records as the file wants them."""
        return [self._applied(market) for market in markets]

    def unused(self, markets: Iterable[Market]) -> list[str]:
        """Names in the file that no market or event has."""
        known = {
            name.lower()
            for one in markets
            for name in (one.condition_id, one.slug, one.event_slug, one.event_id)
        }
        return sorted(name for name in {*self._markets, *self._events} if name not in known)

    def revision(self, catalog: str) -> str:
        """The catalog's revision together with the corrections on it."""
        return f"{catalog}/{self.digest}" if self.digest else catalog

    def excluded(self, market: Market) -> bool:
        """Whether the file takes it out of everything, not only out of its family."""
        own = self._markets.get(market.condition_id.lower()) or self._markets.get(market.slug.lower())
        return (own is not None and own.exclude is not None) or self._event(market) is not None

    def _event(self, market: Market) -> EventOverride | None:
        return self._events.get(market.event_slug.lower()) or self._events.get(market.event_id.lower())

    def _applied(self, market: Market) -> Market:
        if (event := self._event(market)) is not None:
            return replace(market, left_out=f"excluded: {event.exclude}")
        own = self._markets.get(market.condition_id.lower()) or self._markets.get(market.slug.lower())
        return market if own is None else own.corrected(market)


NOTHING: Final = Overrides({}, {})


def read_overrides(path: str) -> Overrides:
    """Reads a file; an empty path is no file.

    Raises:
        SettingsError: it cannot be read, or says something that is no correction; one line says where.
    """
    if not path:
        return NOTHING
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SettingsError(
                f"CATALOG_OVERRIDES: {path} is larger than {MOST_BYTES} bytes; nothing of it is used"
            )
        given = _File.model_validate(parse(path, data.decode()))
    except OSError as error:
        raise SettingsError(f"CATALOG_OVERRIDES: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"CATALOG_OVERRIDES: {path} is no UTF-8 text; nothing of it is used") from None
    except ValidationError as error:
        raise SettingsError(
            f"CATALOG_OVERRIDES: {path}: {complaint(error, _KNOWN)}; nothing of it is used"
        ) from None
    return Overrides(given.markets, given.events)
