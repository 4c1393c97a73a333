"""Reading the odd fields of Gamma's rows: JSON text inside strings, numbers that must stay exact.

Source: the venue's Gamma API and recorded answers; every field is optional in old markets.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import orjson

from marketdata.errors import CatalogError
from marketdata.venue import padded_condition_id

Winner = Literal[0, 1, "split"]
State = Literal["open", "paused", "closed", "resolved"]

_MAX_TOKEN_DIGITS = 78


def text(row: Mapping[str, Any], name: str) -> str:
    """A string, "" where it is missing or null; numbers (ids) become their digits."""
    value = row.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def flag(row: Mapping[str, Any], name: str) -> bool:
    """True only where the field says true; missing, null and everything else is False."""
    return row.get(name) is True


def strings(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings, given as JSON text in a string or as a real array; () where it is missing or empty.

    Raises:
        CatalogError: it is something else.
    """
    value = row.get(name)
    if isinstance(value, str):
        try:
            value = orjson.loads(value) if value.strip() else None
        except orjson.JSONDecodeError:
            raise CatalogError(f"{name} is not a JSON list: {str(row[name])[:60]!r}") from None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CatalogError(f"{name} is not a list of strings: {str(value)[:60]!r}")
    return tuple(value)


def decimal(row: Mapping[str, Any], name: str) -> str:
    """The plain decimal spelling of a number or numeric string, "0.001"; "" where it is missing.

    A JSON number is read by its shortest spelling, so 0.001 stays "0.001" and 5 is "5".

    Raises:
        CatalogError: not a finite number.
    """
    value = row.get(name)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise CatalogError(f"{name} is not a number: {str(value)[:40]!r}")
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise CatalogError(f"{name} is not a number: {str(value)[:40]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 20:
        raise CatalogError(f"{name} is out of all bounds: {str(value)[:40]!r}")
    spelled = format(number, "f")
    return spelled.rstrip("0").rstrip(".") if "." in spelled else spelled


def figure(row: Mapping[str, Any], *names: str) -> float:
    """The first of these fields that is a number; 0.0 where none is. For volumes, which only rank."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                continue
            if 0 <= number < float("inf"):
                return number
    return 0.0


def condition_id(row: Mapping[str, Any]) -> str:
    """The condition id as 0x and 64 hex digits.

    Raises:
        CatalogError: it is none.
    """
    padded = padded_condition_id(text(row, "conditionId"))
    body = padded.removeprefix("0x")
    if len(body) != 64 or not all(digit in "0123456789abcdef" for digit in body):
        raise CatalogError(f"conditionId {text(row, 'conditionId')[:80]!r} is not 0x and 64 hex digits")
    return padded


def version(row: Mapping[str, Any]) -> Literal["v1", "v2"]:
    """The protocol version; v1 where an older row does not say.

    Raises:
        CatalogError: a version that is not known.
    """
    said = row.get("version")
    if said is None or said == "" or said == "v1":
        return "v1"
    if said == "v2":
        return "v2"
    raise CatalogError(f"protocol version {str(said)[:20]!r} is not known; only v1 and v2 are")


def tokens(row: Mapping[str, Any]) -> tuple[str, str]:
    """The two token ids: positionIds for v2, clobTokenIds for v1, even where both exist.

    Raises:
        CatalogError: not two distinct decimal ids (minutes after its creation a market may have none yet).
    """
    name = "positionIds" if version(row) == "v2" else "clobTokenIds"
    ids = strings(row, name)
    if not ids:
        raise CatalogError(f"no token ids yet ({name} is empty)")
    if len(ids) != 2 or ids[0] == ids[1]:
        raise CatalogError(f"{name} does not hold two distinct ids but {len(ids)}")
    for token in ids:
        if not (token.isascii() and token.isdigit() and len(token) <= _MAX_TOKEN_DIGITS):
            raise CatalogError(f"{name} holds {token[:90]!r}, which is not a decimal token id")
    return ids[0], ids[1]


def outcomes(row: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the two outcomes, in the order of the tokens.

    Raises:
        CatalogError: not two distinct names.
    """
    names = strings(row, "outcomes")
    if len(names) != 2 or names[0] == names[1]:
        raise CatalogError(f"outcomes are not two distinct names: {str(names)[:60]}")
    return names[0], names[1]


def state(row: Mapping[str, Any]) -> tuple[State, Winner | None]:
    """Open, paused, closed or resolved, and who won.

    Tradable (open) is enableOrderBook and acceptingOrders and not closed: a closed market may still say that
    it accepts orders. Resolved is a closed market whose final prices are 1 and 0, or 0.5 each where the
    resolution status (umaResolutionStatus, in v2 resolutionStatus) says resolved.

    Raises:
        CatalogError: outcomePrices cannot be read.
    """
    if not flag(row, "closed"):
        return ("open" if flag(row, "enableOrderBook") and flag(row, "acceptingOrders") else "paused"), None
    said = (text(row, "umaResolutionStatus") or text(row, "resolutionStatus")).lower()
    prices = tuple(
        decimal({"outcomePrices": price}, "outcomePrices") for price in strings(row, "outcomePrices")
    )
    if said in ("", "resolved"):
        if prices in (("1", "0"), ("0", "1")):
            return "resolved", 0 if prices[0] == "1" else 1
        if prices == ("0.5", "0.5") and said == "resolved":
            return "resolved", "split"
    return "closed", None
