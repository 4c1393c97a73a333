"""`bookstream verify`, from its settings to its exit code."""

from __future__ import annotations

import sys
import time

import orjson
from redis.exceptions import RedisError

from consumers.streams import MarketStream, check_version, chosen_markets, scan_streams
from consumers.verify.check import verify
from consumers.verify.report import Report
from consumers.verify.settings import VerifySettings
from marketdata.catalog import Catalog
from marketdata.errors import RedisAwayError, SettingsError
from marketdata.keys import Keys
from marketdata.redis_target import mask
from marketdata.redis_url import GIVE_UP_S, RedisSession, redis_session
from marketdata.times import parse_when


async def run(settings: VerifySettings) -> int:
    """Checks and prints; returns 0 if there are entries and all streams prove themselves, else 1.

    Raises:
        SettingsError: a market or a time that cannot be used.
        ContractError: this Redis holds streams of another contract.
        RedisAwayError: Redis went away during the check.
    """
    async with redis_session(
        settings.redis_url, client_name="bookstream-verify", log=_say, give_up_s=GIVE_UP_S
    ) as session:
        try:
            report, listed = await _checked(session, settings)
        except RedisError as error:
            raise RedisAwayError(
                f"Redis went away during the check ({error}); nothing was changed; start it again"
            ) from None
    if not report.entries:
        _say(_nothing(settings, listed))
    if settings.json_:
        sys.stdout.write(orjson.dumps(report.to_dict()).decode() + "\n")
    elif report.entries or not report.ok:
        sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.is_proof else 1


def _nothing(settings: VerifySettings, listed: int) -> str:
    """Why there is nothing to prove, in one line.

    Args:
        listed: markets of the catalog.
    """
    where = f"KEY_PREFIX {settings.key_prefix!r} of {mask(settings.redis_url)}"
    if not listed:
        return f"nothing is there, neither catalog nor streams, under {where}; is that the right place?"
    within = " in this range" if settings.from_ or settings.to else ""
    chosen = " of the markets chosen" if settings.market else f" of the {listed} markets listed"
    return f"no entries{chosen}{within} yet, so nothing is proven, under {where}"


async def _checked(session: RedisSession, settings: VerifySettings) -> tuple[Report, int]:
    """The report, and how many markets are known."""
    keys = Keys(settings.key_prefix)
    now_ms = time.time_ns() // 1_000_000
    first = parse_when(settings.from_, now_ms) if settings.from_ else None
    last = parse_when(settings.to, now_ms) if settings.to else None
    if first is not None and last is not None and last < first:
        raise SettingsError(f"--to ({last}) lies before --from ({first}); nothing was checked")
    await check_version(session.client, keys)
    streams = set(await scan_streams(session.client, keys))
    markets = await Catalog(session.client, keys).load()
    streams |= {MarketStream.of(keys, one.partition, one.condition_id) for one in markets.values()}
    known = len(streams)
    if settings.market:
        wanted = chosen_markets(settings.market, markets, streams)
        streams = {stream for stream in streams if stream.condition_id in wanted}
    return await verify(session.client, streams, first=first, last=last), known


def _say(line: str) -> None:
    print(f"bookstream verify: {line}", file=sys.stderr)
