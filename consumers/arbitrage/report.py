"""`bookstream arbitrage --report`: kinds, durations, sizes, profit, and what was disproved later."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rich import box
from rich.console import Console
from rich.table import Table

from consumers.arbitrage.claims import Claims, Verdict
from consumers.arbitrage.feed import gap_start_ms
from consumers.arbitrage.hearing import last_word
from consumers.arbitrage.opportunity import Opportunity
from consumers.arbitrage.settings import ArbitrageSettings
from consumers.arbitrage.summary import Summary
from consumers.merged import RangeReader, chunk_for, fetch_ranges, in_parts, merged
from consumers.streams import check_version
from consumers.text import age
from marketdata.clock import now_ms
from marketdata.entries import Entry, EntryId
from marketdata.errors import RedisAwayError, RedisRefusedError
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS
from marketdata.redis_url import GIVE_UP_S, redis_session


async def report(settings: ArbitrageSettings) -> int:
    """Prints what all opportunities that are kept come to, and which of them gaps disproved later; returns 0.

    Raises:
        ContractError: this Redis holds streams of another contract.
        EntryError: an opportunity or a gap cannot be read.
        RedisAwayError: Redis went away meanwhile.
        RedisRefusedError: Redis refuses to be read.
    """
    summary, verdict = Summary(), Verdict()
    keys = Keys(settings.key_prefix)
    async with redis_session(
        settings.redis_url, client_name="bookstream-arbitrage", log=_say, give_up_s=GIVE_UP_S
    ) as session:
        try:
            await check_version(session.client, keys)
            for partition in range(MAX_PARTITIONS):
                await _sum_up(session.client, keys, partition, summary, verdict)
            silent = await last_word(session.client, keys, now_ms())
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise RedisAwayError(f"Redis went away ({error}); start it again") from None
        except RedisError as error:
            raise RedisRefusedError(f"Redis refuses to be read ({error}); nothing was changed") from None
    told = summary.to_dict() | verdict.to_dict()
    if settings.json_:
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
    else:
        _print(told)
    if silent:
        _say(silent)
    return 0


async def _sum_up(client: Redis, keys: Keys, partition: int, summary: Summary, verdict: Verdict) -> None:
    """One partition: no more of them is in memory than that."""
    claims = Claims()
    reader = RangeReader(keys.opportunities(partition), "-", "+", chunk_for(1))
    async for read in merged([reader], fetch_ranges(client)):
        found = Opportunity.from_fields(read.fields)
        summary.add(read.id, found)
        claims.add(read.id, found)
    since = claims.since()
    streams = {keys.book(partition, market): market for market in since}
    readers = [
        RangeReader(key, str(since[market]), "+", chunk_for(len(streams))) for key, market in streams.items()
    ]
    async for read in merged(readers, fetch_ranges(client)):
        if read.fields.get(b"kind") == b"gap":
            gap = Entry.from_fields(read.fields)
            claims.gap(read.id, streams[read.key], gap.outcome, gap_start_ms(gap.note), gap.gap_cause)
    # After the gaps: what was trimmed while they were read is not known either.
    verdict.add(claims.all, await _kept_from(client, streams))


async def _kept_from(client: Redis, streams: Mapping[str, str]) -> dict[str, EntryId]:
    """The first entry of each stream that has one, by market."""
    found: dict[str, EntryId] = {}
    for part in in_parts([RangeReader(key, "-", "+", 2) for key in streams]):
        await fetch_ranges(client)(part)
        found |= {streams[one.key]: one.in_hand[0].id for one in part if one.in_hand}
    return found


def _print(told: Mapping[str, Any]) -> None:
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 140)
    if not told["opened"]:
        console.print("no opportunity was found")
        return
    table = Table(box=box.SIMPLE_HEAD)
    names = (
        "kind",
        "opened",
        "strict",
        "duration p50",
        "p95",
        "size p50",
        "max",
        "most bps",
        "net",
        "closed by",
    )
    for at, name in enumerate(names):
        table.add_column(name, justify="left" if at in (0, len(names) - 1) else "right")
    for name, kind in told["kinds"].items():
        duration, size = kind["duration_ms"], kind["size"]
        table.add_row(
            name,
            str(kind["opened"]),
            str(kind["strict"]),
            age(duration["p50"] / 1000) if duration else "",
            age(duration["p95"] / 1000) if duration else "",
            size.get("p50", ""),
            size.get("max", ""),
            kind["most_bps"],
            f"${kind['net']}",
            ", ".join(f"{why} {count}" for why, count in kind["closed_by"].items()),
        )
    console.print(table)
    console.print(
        f"{told['opened']} opportunities ({told['still_open']} still open) from {told['from']} to {told['to']}:"
        f" at best ${told['net']} net of fees, each taken once at its best moment"
    )
    disproved, unknown, standing = (told[name] for name in ("disproved", "cannot_be_known", "standing"))
    if disproved["opened"]:
        causes = ", ".join(f"{cause} {count}" for cause, count in disproved["by_cause"].items())
        console.print(
            f"{disproved['opened']} of them (${disproved['net']}) were disproved later: a gap that came after them says"
            f" that a leg was silent or wrong (stale, desync), or may have been, before they were told ({causes})"
        )
    if unknown["opened"]:
        console.print(
            f"{unknown['opened']} of them (${unknown['net']}) cannot be judged: what was written to their legs'"
            " streams, or told of them, since they opened was trimmed"
        )
    console.print(f"{standing['opened']} of them (${standing['net']}) stand so far")


def _say(line: str) -> None:
    # Behind the report, also where both go to one place.
    sys.stdout.flush()
    print(f"bookstream arbitrage: {line}", file=sys.stderr)
