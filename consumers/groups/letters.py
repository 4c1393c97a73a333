"""Dead letters as lines for people: which entry of which market, and why it was given up on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import Redis

from consumers.text import escaped, shown
from marketdata.errors import CatalogError
from marketdata.groups.dead import DeadLetter, dead_letters
from marketdata.keys import Keys
from marketdata.market import Market

LETTERS: Final = 20
"""So many are shown, the oldest."""

_QUESTION: Final = 60


async def letter_lines(client: Redis, keys: Keys, group: str) -> list[str]:
    """Two lines a letter: its id, its entry's, the calls that failed and the market; then the whole reason.

    The client's own errors go through.
    """
    found: list[tuple[str, DeadLetter]] = []
    async for row in dead_letters(client, keys, group):
        if len(found) == LETTERS:
            break
        found.append(row)
    names = await _names(client, keys, {letter.stream for _, letter in found})
    lines = []
    for letter_id, letter in found:
        calls = f"{letter.attempts} failed calls" if letter.attempts else "unreadable"
        market = names.get(letter.stream) or letter.stream
        lines.append(
            f"dead letter {letter_id}: entry {letter.id}, {calls}, {shown(escaped(market), _QUESTION)}"
        )
        lines.append(f"  {escaped(letter.reason)}")
    return lines


async def _names(client: Redis, keys: Keys, streams: Iterable[str]) -> dict[str, str]:
    """What people call the markets of these streams; those that the catalog does not know are left out."""
    wanted = {stream: stream.rpartition(":")[2] for stream in streams}
    if not wanted:
        return {}
    records: Any = await client.hmget(keys.catalog, list(wanted.values()))
    names = {}
    for stream, record in zip(wanted, records, strict=True):
        try:
            market = Market.from_json(record) if record is not None else None
        except CatalogError:
            continue
        if market is not None:
            names[stream] = market.question or market.slug
    return names
