"""Markets to connections: which tokens each websocket connection carries.

A shard is what one connection carries, at most `tokens_per_connection` tokens; both tokens of a market share
one. Shards are filled with markets of all partitions of the worker: no connection is opened for a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from marketdata.errors import SettingsError
from marketdata.market import Market

TOKENS_A_MARKET: Final = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do so that each wanted market is on exactly one connection.

    Attributes:
        shards: condition ids by shard id, as they will be.
        add: markets to subscribe, by shard id; new shards are among them.
        remove: condition ids to unsubscribe, by shard id; dropped shards are not among them.
        new: ids of shards to open.
        dropped: ids of shards to close: nothing is left for them.
    """

    shards: dict[int, tuple[str, ...]]
    add: dict[int, list[Market]] = field(default_factory=dict)
    remove: dict[int, list[str]] = field(default_factory=dict)
    new: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as it should be."""
        return not (self.add or self.remove or self.dropped)


def markets_a_connection(tokens_per_connection: int) -> int:
    """How many markets one connection carries.

    Raises:
        SettingsError: it could not carry even one.
    """
    if tokens_per_connection < TOKENS_A_MARKET:
        raise SettingsError(
            f"TOKENS_PER_CONNECTION={tokens_per_connection} is too few: a market has two tokens"
        )
    return tokens_per_connection // TOKENS_A_MARKET


def rebalance(
    current: Mapping[int, Sequence[str]],
    wanted: Iterable[Market],
    tokens_per_connection: int,
    arriving: Mapping[int, int] | None = None,
) -> Plan:
    """The fewest changes from the current placement to the wanted markets.

    A placed market stays where it is. New ones fill the holes of the fullest shards first, then shards that
    would have been dropped, then new shards, whose ids lie above all current ones.

    Args:
        current: condition ids by shard id.
        wanted: the markets to follow; one named twice counts once.
        tokens_per_connection: at most so many tokens a shard.
        arriving: how many markets are on their way from one shard to another, by the latter; their places are kept.

    Raises:
        SettingsError: tokens_per_connection is below two.
    """
    room = markets_a_connection(tokens_per_connection)
    kept_free = arriving or {}
    wanted_by_id = {market.condition_id: market for market in wanted}
    kept = _kept(current, wanted_by_id, room)
    placed = {one for ids in kept.values() for one in ids}
    waiting = [market for one, market in wanted_by_id.items() if one not in placed]
    add: dict[int, list[Market]] = {}

    by_fill = sorted(kept, key=lambda shard: (-len(kept[shard]), shard))
    at = 0
    for shard in by_fill:
        filling = waiting[at : at + max(0, room - len(kept[shard]) - kept_free.get(shard, 0))]
        at += len(filling)
        if filling:
            add[shard] = filling
    first_new = max(current, default=-1) + 1
    new: list[int] = []
    while at < len(waiting):
        shard = first_new + len(new)
        new.append(shard)
        add[shard] = waiting[at : at + room]
        at += room

    shards = {
        shard: (*kept.get(shard, ()), *(market.condition_id for market in add.get(shard, ())))
        for shard in sorted({*kept, *new})
    }
    dropped = tuple(shard for shard, ids in shards.items() if not ids and not kept_free.get(shard))
    return Plan(
        shards={shard: ids for shard, ids in shards.items() if ids},
        add=add,
        remove={
            shard: gone
            for shard, ids in sorted(current.items())
            if shard not in dropped and (gone := _gone(ids, kept[shard]))
        },
        new=tuple(new),
        dropped=dropped,
    )


def _kept(
    current: Mapping[int, Sequence[str]], wanted: Mapping[str, Market], room: int
) -> dict[int, list[str]]:
    """What stays: wanted, not seen on an earlier shard, and no more than there is room for."""
    kept: dict[int, list[str]] = {}
    seen: set[str] = set()
    for shard in sorted(current):
        stays: list[str] = []
        for one in current[shard]:
            if one in wanted and one not in seen and len(stays) < room:
                stays.append(one)
                seen.add(one)
        kept[shard] = stays
    return kept


def _gone(before: Sequence[str], after: Sequence[str]) -> list[str]:
    stays = set(after)
    return [one for one in dict.fromkeys(before) if one not in stays]
