"""Reads `opportunities:{P}` of all partitions: `bookstream opportunities`, and the report."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rich.console import Console
from rich.text import Text

from consumers.arbitrage.hearing import NEVER, Hearing, last_word
from consumers.arbitrage.opportunity import Opportunity, fields_as_text, hundredths
from consumers.arbitrage.settings import OpportunitiesSettings
from consumers.merged import RangeReader, Read, chunk_for, fetch_ranges, merged
from consumers.streams import check_version
from consumers.text import age, shown
from marketdata.catalog import Catalog
from marketdata.clock import now_ms
from marketdata.decimals import from_micros
from marketdata.entries import EntryId
from marketdata.errors import RedisAwayError, RedisRefusedError
from marketdata.keys import Keys
from marketdata.market import Market
from marketdata.partitions import MAX_PARTITIONS
from marketdata.redis_url import GIVE_UP_S, redis_session, wait_for_redis
from marketdata.times import parse_when

LOOK_EVERY_S: Final = 0.1
"""How often --follow asks what is new: one call for all partitions."""

LISTEN_EVERY_S: Final = 1.0
_A_CALL: Final = 500
_STYLES: Final = {"open": "bold green", "update": "green", "close": "dim"}
_LEG_NAME: Final = 36
_ABOUT: Final = 60
_OLD_MS: Final = 10_000


async def run(settings: OpportunitiesSettings) -> int:
    """Prints opportunities to the end or, with --follow, until it is cancelled; returns 0.

    Raises:
        SettingsError: a time that cannot be used.
        ContractError: this Redis holds streams of another contract.
        RedisAwayError: without --follow: Redis stayed away.
        RedisRefusedError: Redis refuses a command.
        BrokenPipeError: nobody reads the output any more.
    """
    now = now_ms()
    first = parse_when(settings.from_, now) if settings.from_ else None
    last = parse_when(settings.to, now) if settings.to else None
    give_up_s = None if settings.follow else GIVE_UP_S
    async with redis_session(
        settings.redis_url, client_name="bookstream-opportunities", log=_say, give_up_s=give_up_s
    ) as session:
        keys = Keys(settings.key_prefix)
        printer = Printer(settings)
        hearing = Hearing(session.client, keys, _say)
        position = Position(keys, first if first or not settings.follow else EntryId(now, 0))
        while True:
            try:
                await check_version(session.client, keys)
                printer.markets = await Catalog(session.client, keys).load()
                if not settings.follow:
                    async for read in everything(session.client, keys, position.first, last):
                        if printer.is_done():
                            break
                        printer.take(read)
                    silent = await last_word(session.client, keys, now_ms())
                    if not printer.seen and silent != NEVER:
                        _say("no opportunity was found there")
                    if silent:
                        _say(silent)
                    return 0
                await _follow(session.client, keys, position, printer, last, hearing)
                return 0
            except (RedisConnectionError, RedisTimeoutError) as error:
                if not settings.follow:
                    raise RedisAwayError(f"Redis went away ({error}); start it again") from None
                await wait_for_redis(session.client, session.target, log=_say)
                hearing.was_deaf(time.monotonic())
            except RedisError as error:
                raise RedisRefusedError(f"Redis refuses to be read ({error}); nothing was changed") from None
            finally:
                sys.stdout.flush()


async def everything(
    client: Redis, keys: Keys, first: EntryId | None, last: EntryId | None
) -> AsyncIterator[Read]:
    """The opportunities of all partitions in the total order."""
    names = [keys.opportunities(partition) for partition in range(MAX_PARTITIONS)]
    low, high = str(first) if first else "-", str(last) if last else "+"
    readers = [RangeReader(name, low, high, chunk_for(len(names))) for name in names]
    async for read in merged(readers, fetch_ranges(client)):
        yield read


async def count_opened(client: Redis, keys: Keys, first: EntryId) -> int:
    """How many opportunities opened since."""
    return sum([read.fields[b"action"] == b"open" async for read in everything(client, keys, first, None)])


@dataclass
class Position:
    """Up to where each partition was read."""

    keys: Keys
    first: EntryId | None
    read: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        begin = "0-0" if self.first is None else before(self.first)
        self.read = dict.fromkeys((self.keys.opportunities(one) for one in range(MAX_PARTITIONS)), begin)


def before(at: EntryId) -> str:
    """The id right below."""
    if at.n:
        return f"{at.ms}-{at.n - 1}"
    return f"{max(at.ms - 1, 0)}-{2**64 - 1 if at.ms else 0}"


async def _follow(
    client: Redis,
    keys: Keys,
    position: Position,
    printer: Printer,
    last: EntryId | None,
    hearing: Hearing,
) -> None:
    listen_at_s = time.monotonic()
    while not printer.is_done():
        if (now_s := time.monotonic()) >= listen_at_s:
            await hearing.look(now_s)
            listen_at_s = now_s + LISTEN_EVERY_S
        replies: Any = await client.xread(position.read, count=_A_CALL)  # type: ignore[arg-type]
        rows = [
            Read(EntryId.parse(raw), key.decode(), fields, False)
            for key, entries in replies
            for raw, fields in entries
        ]
        for read in sorted(rows, key=lambda one: (one.id, one.key)):
            if last is not None and read.id > last:
                return
            if not printer.knows(read):
                printer.markets = await Catalog(client, keys).load()
            printer.take(read)
            position.read[read.key] = str(read.id)
            if printer.is_done():
                break
        sys.stdout.flush()
        if not rows:
            await asyncio.sleep(LOOK_EVERY_S)


class Printer:
    """Lines for people, coloured on a terminal, or JSON objects.

    Attributes:
        markets: for the names of legs.
        seen: how many were printed.
    """

    def __init__(self, settings: OpportunitiesSettings) -> None:
        self.markets: dict[str, Market] = {}
        self.seen = 0
        self._settings = settings
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    def is_done(self) -> bool:
        """Whether as many were printed as asked for."""
        return self._settings.count is not None and self.seen >= self._settings.count

    def knows(self, read: Read) -> bool:
        """Whether the names of its markets are known."""
        return all(leg.market in self.markets for leg in Opportunity.from_fields(read.fields).legs)

    def take(self, read: Read) -> None:
        """Prints one, if it is wanted."""
        found = Opportunity.from_fields(read.fields)
        if self._settings.closed and found.action != "close":
            return
        self.seen += 1
        if self._settings.json_:
            sys.stdout.write(orjson.dumps(as_json(read)).decode() + "\n")
            return
        for line in self._lines(read.id, found):
            if self._console.is_terminal:
                self._console.print(line)
            else:
                sys.stdout.write(f"{line.plain.rstrip()}\n")

    def _about(self, found: Opportunity) -> str:
        """What the basket is on: asset and settlement of a price, else the event or the market's question."""
        market = self.markets.get(found.legs[0].market)
        if market is not None and market.asset and market.settlement_time:
            return f"{market.asset} {market.settlement_time[:16].replace('T', ' ')} UTC"
        return ", ".join(found.events) or (market.question if market is not None else found.group)

    def _lines(self, at: EntryId, found: Opportunity) -> list[Text]:
        first = Text(no_wrap=True, overflow="ellipsis")
        first.append(f"{_clock(at.ms)}  ")
        first.append(f"{found.action:<7}", _STYLES[found.action])
        first.append(f"{found.kind:<13}")
        first.append(f"net ${from_micros(found.net_micros)}", "bold")
        first.append(
            f"  {hundredths(found.bps_hundredths)} bps  size {from_micros(found.size_micros)}"
            f"  pays {found.payout}{_ties(found)}  {shown(self._about(found), _ABOUT)}  {found.basket_id}"
        )
        oldest_ms = found.oldest_leg_ms
        if oldest_ms is not None:
            first.append(f"  oldest leg {age(oldest_ms / 1000)}", "yellow" if oldest_ms > _OLD_MS else "dim")
        if found.action == "close":
            best = from_micros(found.best_net_micros or 0)
            first.append(
                f"  after {age((found.duration_ms or 0) / 1000)}, best ${best}, by {found.reason}", "dim"
            )
            if found.doubted_since_ms is not None:
                first.append(f", in doubt since {_clock(found.doubted_since_ms)}", "bold red")
            return [first]
        lines = [first]
        for leg in found.legs:
            market = self.markets.get(leg.market)
            outcome = market.outcomes[leg.outcome] if market else f"outcome {leg.outcome}"
            name = _name(market) if market else leg.market
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(f"              buy {shown(outcome, 10):<10} {leg.price:>7} x {leg.size:<10}")
            line.append(f" {shown(name, _LEG_NAME)}")
            lines.append(line)
        return lines


def _clock(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _ties(found: Opportunity) -> str:
    """What it pays on a strike, where that is something else."""
    return f" ({', '.join(f'{tie.pays} at {tie.strike}' for tie in found.ties)})" if found.ties else ""


def _name(market: Market) -> str:
    if market.family_kind == "threshold" and market.lower:
        return f"above {market.lower}"
    return market.group_item_title or market.question


def as_json(read: Read) -> dict[str, Any]:
    """The entry as one JSON object: where it stands, and its fields as strings; legs as a list."""
    text = fields_as_text(read.fields)
    return {"id": str(read.id), "stream": read.key, **text, "legs": orjson.loads(text["legs"])}


def _say(line: str) -> None:
    # Behind what was found, also where both go to one place.
    sys.stdout.flush()
    print(f"bookstream opportunities: {line}", file=sys.stderr, flush=True)
