"""`bookstream catalog`, from its settings to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import orjson
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumers.catalog.overrides import read_overrides
from consumers.catalog.sets import FamilySet, family_sets
from consumers.catalog.settings import CatalogSettings
from consumers.streams import check_version
from consumers.text import shown
from marketdata.catalog import Catalog
from marketdata.errors import RedisAwayError, SettingsError
from marketdata.keys import Keys
from marketdata.redis_url import GIVE_UP_S, redis_session

_QUESTION = 60
_WHY = 160


async def run(settings: CatalogSettings) -> int:
    """Prints families; returns 0.

    Raises:
        SettingsError: a file of corrections that cannot be used, or a choice that fits nothing.
        ContractError: this Redis holds streams of another contract.
        RedisAwayError: Redis went away meanwhile.
    """
    overrides = read_overrides(settings.catalog_overrides)
    keys = Keys(settings.key_prefix)
    async with redis_session(
        settings.redis_url, client_name="bookstream-catalog", log=_say, give_up_s=GIVE_UP_S
    ) as session:
        try:
            await check_version(session.client, keys)
            snapshot = await Catalog(session.client, keys).snapshot()
        except RedisError as error:
            raise RedisAwayError(f"Redis went away ({error}); nothing was changed; start it again") from None
    markets = list(snapshot.markets.values())
    for name in overrides.unused(markets):
        _say(f"CATALOG_OVERRIDES names {name[:80]!r}, which no market or event of this catalog has")
    sets = _chosen(settings, family_sets(markets, overrides))
    if settings.json_:
        lines = [orjson.dumps(one.to_dict()).decode() for one in sets]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return 0
    console = Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())
    for one in sets:
        _print(console, one, only_left_out=settings.left_out)
    left_out = sum(bool(market.left_out) for one in sets for market in one.markets)
    console.print(
        f"{len(sets)} families, {sum(len(one.markets) for one in sets)} markets ({left_out} left out),"
        f" {sum(len(one.formed.baskets) for one in sets)} baskets; catalog"
        f" {overrides.revision(snapshot.revision)}"
    )
    return 0


def _chosen(settings: CatalogSettings, sets: Sequence[FamilySet]) -> list[FamilySet]:
    wanted = {word.strip().lower() for word in (*settings.market, *settings.event, *settings.family)}
    found, fitting = set(), []
    for one in sets:
        names = {one.key.lower()}
        for market in one.markets:
            names |= {market.condition_id, market.slug.lower(), market.event_slug.lower(), market.event_id}
        found |= names & wanted
        if (not wanted or names & wanted) and (one.has_left_out or not settings.left_out):
            fitting.append(one)
    if missing := sorted(wanted - found):
        raise SettingsError(f"{missing[0][:80]!r} is no market, event or family of this catalog")
    return fitting


def _print(console: Console, one: FamilySet, *, only_left_out: bool) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in one.kinds().items()) or "no baskets"
    title = Text(shown(one.key, 120), "bold")
    title.append(f"   {len(one.markets)} markets, partition {one.markets[0].partition}: {kinds}", "not bold")
    console.print(title)
    for note in one.set_notes():
        console.print(Text(f"  not formed: {shown(note.why, _WHY)}", "yellow"))
    table = Table(box=None, pad_edge=True, show_header=False)
    for market in one.markets:
        why = one.why_not(market)
        if only_left_out and not why:
            continue
        table.add_row(
            market.condition_id[:10],
            market.family_kind,
            _strikes(market.lower, market.upper),
            shown(market.question, _QUESTION),
            Text(shown(f"left out: {why}", _WHY) if why else "", "yellow"),
        )
    console.print(table)


def _strikes(lower: str, upper: str) -> str:
    if lower and upper:
        return f"{lower} to {upper}"
    return f"above {lower}" if lower else f"below {upper}" if upper else ""


def _say(line: str) -> None:
    print(f"bookstream catalog: {line}", file=sys.stderr)
