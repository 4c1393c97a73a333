"""Gamma's answers: which events or markets a query selects, in which order and on which page.

Pure. Source: the Gamma documentation; as public clients report: the keyset forms take the cursor as
`after_cursor` (a parameter named `cursor` is ignored), refuse `offset`, cut pages at 100 and leave
`next_cursor` out on the last page. Parameters that are not known are ignored, as the venue does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from marketdata.errors import VenueFormatError
from marketdata.venue import padded_condition_id

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 500
MAX_KEYSET_LIMIT: Final = 100
MAX_DIGITS: Final = 18

Row = Mapping[str, Any]
Query = Sequence[tuple[str, str]]
"""The parameters as they came, repeats included."""


def events_page(events: Sequence[Row], query: Query) -> list[Row]:
    """`/events`: a list.

    Raises:
        VenueFormatError: a parameter that cannot be read; to be answered with 422.
    """
    return _offset_page(_ordered(_events(events, query), query), query)


def markets_page(events: Sequence[Row], query: Query) -> list[Row]:
    """`/markets`: a list of markets, each with its event inside. Raises as `events_page`."""
    return _offset_page(_ordered(_markets(events, query), query), query)


def events_keyset(events: Sequence[Row], query: Query) -> dict[str, Any]:
    """`/events/keyset`: {"events": […], "next_cursor": …}. Raises as `events_page`."""
    return _keyset_page("events", _ordered(_events(events, query), query), query)


def markets_keyset(events: Sequence[Row], query: Query) -> dict[str, Any]:
    """`/markets/keyset`: {"markets": […], "next_cursor": …}. Raises as `events_page`."""
    return _keyset_page("markets", _ordered(_markets(events, query), query), query)


def all_markets(events: Iterable[Row]) -> list[Row]:
    """All markets, each with its event (without the event's markets) in `events`."""
    return [
        {**market, "events": [{key: value for key, value in event.items() if key != "markets"}]}
        for event in events
        for market in event["markets"]
    ]


def _events(events: Sequence[Row], query: Query) -> list[Row]:
    rows = _selected(events, query)
    if wanted := _values(query, "tag_id"):
        rows = [row for row in rows if any(tag["id"] in wanted for tag in row.get("tags", ()))]
    return rows


def _markets(events: Sequence[Row], query: Query) -> list[Row]:
    if wanted := _values(query, "tag_id"):
        events = [event for event in events if any(tag["id"] in wanted for tag in event.get("tags", ()))]
    rows = _selected(all_markets(events), query)
    if ids := {padded_condition_id(value) for value in _values(query, "condition_ids")}:
        rows = [row for row in rows if padded_condition_id(row["conditionId"]) in ids]
    return rows


def _selected(rows: Sequence[Row], query: Query) -> list[Row]:
    for name in ("active", "closed"):
        if values := _values(query, name):
            if values[-1] not in ("true", "false"):
                raise VenueFormatError(f"{name} must be true or false, not {values[-1][:40]!r}")
            rows = [row for row in rows if row[name] is (values[-1] == "true")]
    for name in ("slug", "id"):
        if values := _values(query, name):
            rows = [row for row in rows if row[name] in values]
    return list(rows)


def _ordered(rows: list[Row], query: Query) -> list[Row]:
    names = ",".join(_values(query, "order")).split(",")
    descending = _values(query, "ascending")[-1:] == ["false"]
    for name in reversed([name for name in names if name]):
        present = [row for row in rows if row.get(name) is not None]
        try:
            present.sort(key=lambda row: row[name], reverse=descending)
        except TypeError:
            raise VenueFormatError(f"cannot order by {name[:40]!r}") from None
        rows = present + [row for row in rows if row.get(name) is None]
    return rows


def _offset_page(rows: list[Row], query: Query) -> list[Row]:
    offset = _number(query, "offset", 0)
    return rows[offset : offset + min(_number(query, "limit", DEFAULT_LIMIT), MAX_LIMIT)]


def _keyset_page(name: str, rows: list[Row], query: Query) -> dict[str, Any]:
    if _values(query, "offset"):
        raise VenueFormatError("offset is not allowed with keyset pagination")
    limit = max(1, min(_number(query, "limit", DEFAULT_LIMIT), MAX_KEYSET_LIMIT))
    start = 0
    if cursors := _values(query, "after_cursor"):
        last_id = _id_of_cursor(cursors[-1])
        places = [place for place, row in enumerate(rows) if row["id"] == last_id]
        if not places:
            raise VenueFormatError("invalid cursor")
        start = places[0] + 1
    page: dict[str, Any] = {name: rows[start : start + limit]}
    if start + limit < len(rows):
        page["next_cursor"] = base64.urlsafe_b64encode(f"after:{page[name][-1]['id']}".encode()).decode()
    return page


def _id_of_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode().removeprefix("after:")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise VenueFormatError("invalid cursor") from None


def _values(query: Query, name: str) -> list[str]:
    return [value for key, value in query if key == name and value]


def _number(query: Query, name: str, default: int) -> int:
    values = _values(query, name)
    if not values:
        return default
    if not (values[-1].isascii() and values[-1].isdigit() and len(values[-1]) <= MAX_DIGITS):
        raise VenueFormatError(f"{name} must be a whole number, not {values[-1][:40]!r}")
    return int(values[-1])
