"""One entry as a line, for people or as JSON (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from rich.text import Text

from consumers.text import age, shown
from marketdata.entries import FIELDS, Entry, EntryId
from marketdata.market import Market

_QUESTION: Final = 44
_OUTCOME: Final = 10
_SIDE: Final = 20
_STYLES: Final = {"gap": "bold red", "resolved": "bold magenta", "trade": "cyan", "tick": "yellow"}


@dataclass(frozen=True, slots=True)
class Name:
    """What people call a market.

    Attributes:
        question, slug: empty where the catalog does not know the market.
        outcomes: of both tokens.
        condition_id: always.
    """

    condition_id: str
    question: str = ""
    slug: str = ""
    outcomes: tuple[str, str] = ("outcome 0", "outcome 1")

    @classmethod
    def of(cls, market: Market) -> Name:
        """The name of a market of the catalog."""
        return cls(market.condition_id, market.question, market.slug, market.outcomes)

    def outcome(self, index: int | None) -> str:
        """The outcome's name; "both" where the whole market is meant."""
        return "both" if index is None else self.outcomes[index]


def json_line(
    entry_id: EntryId, key: str, name: Name, fields: Mapping[bytes, bytes], *, standing: bool = False
) -> str:
    """The entry as one JSON object: where it stands, its names, and the twelve fields as strings.

    Args:
        standing: it was written before anybody looked; only then there is a key `standing`, true.
    """
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    outcome = text.get("outcome", "")
    line: dict[str, Any] = {
        "id": str(entry_id),
        "stream": key,
        "market": name.condition_id,
        "slug": name.slug,
        "question": name.question,
        "outcome_name": name.outcomes[int(outcome)] if outcome in ("0", "1") else "",
        **{field: text[field] for field in FIELDS if field in text},
    }
    if standing:
        line["standing"] = True
    return orjson.dumps(line).decode()


def human_line(entry_id: EntryId, name: Name, entry: Entry, now_us: int, *, standing: bool = False) -> Text:
    """The entry as a line: time in UTC, market, outcome, kind, what it says, how old it is, whether it stood there."""
    line = Text(no_wrap=True)
    line.append(f"{_clock(entry_id.ms, now_us)}  ", "dim")
    line.append(f"{shown(name.question or name.slug or name.condition_id, _QUESTION):<{_QUESTION}}  ")
    line.append(f"{shown(name.outcome(entry.outcome), _OUTCOME):<{_OUTCOME}}  ", "bold")
    line.append(f"{entry.kind:<8}  ", _STYLES.get(entry.kind, "green"))
    line.append(*_said(entry))
    if entry.skipped:
        line.append(f"  ({entry.skipped} updates conflated)", "yellow")
    line.append(f"  {age((now_us - entry.recv_us) / 1e6):>6}", "dim")
    if standing:
        line.append("  standing", "dim")
    return line


def _said(entry: Entry) -> tuple[str, str]:
    match entry.kind:
        case "gap":
            return f"GAP: {entry.gap_cause}; updates may be missing", _STYLES["gap"]
        case "resolved":
            return f"resolved: {entry.note}", _STYLES["resolved"]
        case "tick":
            return f"tick size {entry.note}", _STYLES["tick"]
        case "trade" if entry.bid:
            return f"sold {entry.bid_size} at {entry.bid}", _STYLES["trade"]
        case "trade":
            return f"bought {entry.ask_size} at {entry.ask}", _STYLES["trade"]
        case _:
            bid = f"{entry.bid} x {entry.bid_size}" if entry.bid else "no bid"
            ask = f"{entry.ask} x {entry.ask_size}" if entry.ask else "no ask"
            return f"{bid:>{_SIDE}} | {ask:<{_SIDE}}", ""


def _clock(ms: int, now_us: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
    day = "" if moment.date() == today else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M:%S}.{ms % 1000:03d}Z"
