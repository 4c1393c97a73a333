"""The few facts of a market that the screen shows, read from its catalog record (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from consumers.dashboard.plain import plain
from consumers.dashboard.plain import sought as searchable


@dataclass(frozen=True, slots=True)
class MarketLine:
    """One market of the catalog, its words fit for a terminal.

    Attributes:
        condition_id: 0x and 64 hex digits.
        question, event, outcomes: as the venue wrote them, less what a terminal cannot bear.
        title: what tells it apart within its event: a strike, a name.
        slug: for a URL.
        state: open, paused, closed or resolved.
        end_date: ISO, or empty.
        volume_24h: dollars.
        partition: where its stream lives.
        sought: what a filter looks into, see `plain.sought`.
    """

    condition_id: str
    question: str
    event: str
    outcomes: tuple[str, str]
    title: str
    slug: str
    state: str
    end_date: str
    volume_24h: float
    partition: int
    sought: str = field(repr=False)


def parse_market(record: bytes) -> MarketLine | None:
    """Reads a catalog record; None: it cannot be read (`bookstream verify` and workers say why)."""
    try:
        row = orjson.loads(record)
        question = plain(str(row["question"])) or str(row["slug"]) or row["condition_id"]
        first, second = (plain(str(one)) for one in row["outcomes"])
        event, slug, condition_id = (
            plain(str(row["event_title"])),
            plain(str(row["slug"])),
            row["condition_id"],
        )
        title = plain(str(row["group_item_title"])) or question
        return MarketLine(
            condition_id=condition_id,
            question=question,
            event=event,
            outcomes=(first, second),
            title=title,
            slug=slug,
            state=str(row["state"]),
            end_date=str(row["end_date"]),
            volume_24h=float(row["volume_24h"]),
            partition=int(row["partition"]),
            sought="\n".join(searchable(one) for one in (question, title, event, slug, condition_id)),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
