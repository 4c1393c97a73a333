"""An engine whose group was made anew: what went by unseen is not taken for seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from consumers.groups.removal import Removed, remove_group
from marketdata.entries import EntryId
from tests.integration.test_arbitrage import Venue, ladder
from tests.redis_server import PrivateRedis

GROUP = "arbitrage"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as running:
        yield running


async def opened(server: PrivateRedis) -> Venue:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    venue.ask(high, 1, "0.4")
    await venue.once()
    assert venue.said() == ["open ladder"]
    return venue


def a_hole(venue: Venue) -> None:
    """The leg's price goes away in an entry that nobody will see."""
    low, high = venue.markets
    venue.ask(high, 1, "0.9")
    venue.ask(high, 0, "0.3")
    venue.client.xtrim(venue.keys.book(venue.partition, high.condition_id), maxlen=1, approximate=False)
    venue.clock(later_ms=1000)
    venue.ask(low, 0, "0.49")


def forget_group(venue: Venue) -> None:
    books = [venue.keys.book(venue.partition, one.condition_id) for one in venue.markets]
    for key in (venue.keys.clock(venue.partition), *books):
        venue.client.xgroup_destroy(key, GROUP)


@pytest.mark.parametrize("handled", [None, "1-1"])
async def test_a_state_without_its_group_counts_no_price(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str], handled: str | None
) -> None:
    venue = await opened(server)
    lease = venue.keys.lease(venue.partition, GROUP)
    seen = venue.client.hget(lease, "handled")
    assert isinstance(seen, bytes)
    venue.client.delete(lease)
    if handled is not None:
        venue.client.hset(lease, "handled", handled)
    forget_group(venue)
    a_hole(venue)
    capsys.readouterr()
    await venue.once()
    assert venue.said() == ["open ladder", "close ladder gap"]
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "no price counts" in one]
    how = "began anew" if handled is None else f"has handled it up to {handled}"
    assert f"group arbitrage {how}, the engine saw it up to {seen.decode()}: the group was made anew" in line
    # The token's next top counts again, and nothing is said again.
    venue.ask(venue.markets[1], 1, "0.4")
    await venue.once()
    assert venue.said() == ["open ladder", "close ladder gap", "open ladder"]
    assert "no price counts" not in capsys.readouterr().err


async def test_a_group_that_is_removed_takes_the_state_of_its_engine_along(server: PrivateRedis) -> None:
    venue = await opened(server)
    found = venue.told()
    foreign = venue.keys.arbitrage((venue.partition + 1) % 64)
    venue.client.hset(foreign, mapping={"group": "other"})
    async with Redis.from_url(server.url) as client:
        removed = await remove_group(client, venue.keys, GROUP, dead_letters=False)
    assert removed == Removed(known=True, streams=2, clocks=1, states=1)
    assert not venue.client.exists(venue.keys.arbitrage(venue.partition))
    assert venue.client.exists(foreign), "another group's stays"
    venue.client.delete(foreign)
    assert venue.told() == found, "what it found stays"
    a_hole(venue)
    # No engine's state belongs to the old group any more.
    await venue.once(group="other")
    assert venue.told() == found
    assert venue.handled() == str(EntryId(venue.ms, venue.n)).encode()


async def test_the_doubt_outlives_a_run_that_could_read_nothing(server: PrivateRedis) -> None:
    venue = await opened(server)
    low, _ = venue.markets
    venue.client.delete(venue.keys.lease(venue.partition, GROUP))
    forget_group(venue)
    keys = [venue.keys.book(venue.partition, one.condition_id) for one in venue.markets]
    for key in (venue.keys.clock(venue.partition), *keys):
        venue.client.xtrim(key, maxlen=0, approximate=False)
    venue.client.xadd(keys[1], {"kind": "unreadable"}, id=f"{venue.ms + 1}-{venue.n + 1}")
    venue.ms, venue.n = venue.ms + 1, venue.n + 1
    await venue.once()
    assert venue.client.xlen(venue.keys.dead(GROUP)) == 1
    assert venue.said() == ["open ladder"]
    venue.clock()
    venue.ask(low, 0, "0.49")
    await venue.once()
    assert venue.said() == ["open ladder", "close ladder gap"]
