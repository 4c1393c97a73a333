"""`bookstream arbitrage --report`: kinds, durations, sizes, profit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from redis.exceptions import RedisError
from rich import box
from rich.console import Console
from rich.table import Table

from consumers.arbitrage.hearing import last_word
from consumers.arbitrage.listing import everything
from consumers.arbitrage.opportunity import Opportunity
from consumers.arbitrage.settings import ArbitrageSettings
from consumers.arbitrage.summary import Summary
from consumers.streams import check_version
from consumers.text import age
from marketdata.clock import now_ms
from marketdata.errors import RedisAwayError
from marketdata.keys import Keys
from marketdata.redis_url import GIVE_UP_S, redis_session


async def report(settings: ArbitrageSettings) -> int:
    """Prints what all opportunities that are kept come to; returns 0.

    Raises:
        ContractError: this Redis holds streams of another contract.
        EntryError: an opportunity cannot be read.
        RedisAwayError: Redis went away meanwhile.
    """
    summary = Summary()
    keys = Keys(settings.key_prefix)
    async with redis_session(
        settings.redis_url, client_name="bookstream-arbitrage", log=_say, give_up_s=GIVE_UP_S
    ) as session:
        try:
            await check_version(session.client, keys)
            async for read in everything(session.client, keys, None, None):
                summary.add(read.id, Opportunity.from_fields(read.fields))
            silent = await last_word(session.client, keys, now_ms())
        except RedisError as error:
            raise RedisAwayError(f"Redis went away ({error}); nothing was changed; start it again") from None
    told = summary.to_dict()
    if settings.json_:
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
    else:
        _print(told)
    if silent:
        _say(silent)
    return 0


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


def _say(line: str) -> None:
    # Behind the report, also where both go to one place.
    sys.stdout.flush()
    print(f"bookstream arbitrage: {line}", file=sys.stderr)
