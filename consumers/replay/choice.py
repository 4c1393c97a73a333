"""Which streams a replay is about, and what of them lies in its range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from redis.asyncio import Redis

from consumers.replay.settings import ReplaySettings
from consumers.streams import MarketStream, check_version, chosen_markets, scan_streams
from consumers.tail.lines import Name
from marketdata.catalog import Catalog
from marketdata.entries import EntryId
from marketdata.errors import ReplayError, SettingsError
from marketdata.keys import Keys
from marketdata.market import Market
from marketdata.times import parse_when

CLOCKS_MAY_DIFFER_MS: Final = 60_000
"""Ids are of the workers' clocks, which may be a little ahead of this machine's."""

_STREAMS_A_TRIP: Final = 200


class Span(NamedTuple):
    """The first and the last id that a stream holds in the range."""

    first: EntryId
    last: EntryId


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed.

    Attributes:
        first, last: the range, both included.
        spans: by stream key: streams that hold anything in the range.
        names: what people call the market of a stream; clock streams have none.
        condition_ids: of the markets chosen.
    """

    first: EntryId
    last: EntryId
    spans: Mapping[str, Span]
    names: Mapping[str, Name]
    condition_ids: frozenset[str]


def range_of(settings: ReplaySettings, now_ms: int) -> tuple[EntryId, EntryId]:
    """The first and the last id.

    Raises:
        SettingsError: they are the wrong way round, or lie in the future.
    """
    now = EntryId(now_ms, 0)
    first = parse_when(settings.from_, now_ms) if settings.from_ else EntryId(0, 0)
    last = parse_when(settings.to, now_ms) if settings.to else now
    for flag, at in (("--from", first), ("--to", last)):
        if at.ms > now_ms + CLOCKS_MAY_DIFFER_MS:
            ahead_s = (at.ms - now_ms) // 1000
            raise SettingsError(f"{flag} ({at}) lies {ahead_s} s in the future; nothing was replayed")
    if last < first:
        raise SettingsError(f"--to ({last}) lies before --from ({first}); nothing was replayed")
    return first, last


async def plan(client: Redis, keys: Keys, settings: ReplaySettings, first: EntryId, last: EntryId) -> Plan:
    """Finds the streams.

    Args:
        client: lets its own errors (`redis.RedisError`) through.

    Raises:
        SettingsError: a market, event or family that is not here.
        ContractError: these streams follow another contract.
        ReplayError: no entry lies in the range.
    """
    await check_version(client, keys)
    markets = await Catalog(client, keys).load()
    streams = set(await scan_streams(client, keys))
    wanted = chosen(settings, markets, streams)
    streams = {stream for stream in streams if stream.condition_id in wanted}
    books = sorted(stream.key for stream in streams)
    found = await _spans(client, books, first, last)
    if not found:
        raise ReplayError(
            f"no entry lies between {first} and {last} in {len(books)} streams; nothing was replayed"
        )
    names = {
        stream.key: Name.of(markets[stream.condition_id])
        if stream.condition_id in markets
        else Name(stream.condition_id)
        for stream in streams
        if stream.key in found
    }
    if settings.into is not None:
        clocks = sorted({keys.clock(stream.partition) for stream in streams})
        found |= await _spans(client, clocks, first, last)
    return Plan(first, last, found, names, wanted)


def chosen(
    settings: ReplaySettings, markets: Mapping[str, Market], streams: Iterable[MarketStream]
) -> frozenset[str]:
    """The condition ids that are meant: all, or those that any of the choices names (pure).

    Raises:
        SettingsError: a word names nothing.
    """
    streams = list(streams)
    if not (settings.market or settings.event or settings.family):
        return frozenset({*markets, *(stream.condition_id for stream in streams)})
    return (
        chosen_markets(settings.market, markets, streams)
        | _having("event", settings.event, markets, lambda one: (one.event_slug, one.event_id))
        | _having("family", settings.family, markets, lambda one: (one.family,))
    )


def _having(
    what: str, words: Sequence[str], markets: Mapping[str, Market], names: Callable[[Market], Sequence[str]]
) -> frozenset[str]:
    found: set[str] = set()
    for word in words:
        fitting = {one.condition_id for one in markets.values() if word and word in names(one)}
        if not fitting:
            raise SettingsError(
                f"--{what} {word[:80]!r} names no {what} of the {len(markets)} markets in this catalog"
            )
        found |= fitting
    return frozenset(found)


async def _spans(client: Redis, names: Sequence[str], first: EntryId, last: EntryId) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for at in range(0, len(names), _STREAMS_A_TRIP):
        part = names[at : at + _STREAMS_A_TRIP]
        async with client.pipeline(transaction=False) as pipe:
            for key in part:
                pipe.xrange(key, str(first), str(last), 1)
                pipe.xrevrange(key, str(last), str(first), 1)
            replies = await pipe.execute()
        for key, oldest, newest in zip(part, replies[::2], replies[1::2], strict=True):
            if oldest and newest:
                found[key] = Span(EntryId.parse(oldest[0][0]), EntryId.parse(newest[0][0]))
    return found
