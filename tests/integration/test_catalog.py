"""The catalog on a real server: atomic, quiet when nothing changed, and true to its partitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from marketdata import catalog as module
from marketdata.catalog import CHUNK, NO_REVISION, Catalog, Snapshot
from marketdata.errors import CatalogError, ContractError, PartitionsError
from marketdata.keys import Keys
from marketdata.market import Market
from tests.gamma_rows import market
from tests.redis_server import PrivateRedis

KEYS = Keys("test:")


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["bytes", "strings"])
async def redis(server: PrivateRedis, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    client = Redis(unix_socket_path=str(server.socket_path), decode_responses=request.param)
    await client.flushall()
    yield client
    await client.aclose()


async def log(redis: Redis) -> list[tuple[str, str]]:
    entries = await redis.xrange(KEYS.catalog_log) or []
    return [tuple(as_text(value) for value in fields.values()) for _, fields in entries]  # type: ignore[misc, union-attr]


def as_text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


async def test_an_empty_catalog(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    assert await catalog.load() == {}
    assert await catalog.revision() == NO_REVISION
    assert await catalog.put([]) == 0


async def test_what_was_put_is_loaded_and_logged_once(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    markets = [market(f"m{n}", event="e") for n in range(3)]
    assert await catalog.put(markets) == 3
    assert await catalog.load() == {one.condition_id: one for one in markets}
    revision = await catalog.revision()
    assert await catalog.put(markets) == 0
    assert await catalog.revision() == revision
    assert await log(redis) == [(one.condition_id, "new") for one in markets]
    assert (await catalog.snapshot()).revision == revision


async def test_only_what_changed_is_logged_with_the_fields_that_did(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one, two = market("one"), market("two")
    await catalog.put([one, two])
    before = await catalog.revision()
    finer = replace(one, tick_size="0.001", state="paused")
    assert await catalog.put([finer, two]) == 1
    assert (await log(redis))[2:] == [(one.condition_id, "tick_size,state")]
    assert await catalog.revision() != before
    assert (await catalog.load())[one.condition_id] == finer


async def test_figures_are_kept_up_to_date_without_a_new_revision(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one = market("one")
    await catalog.put([one])
    before = await catalog.revision()
    busier = replace(one, volume_24h=9.5, liquidity=1.0)
    assert await catalog.put([busier]) == 0
    assert await catalog.snapshot() == type(await catalog.snapshot())(before, {one.condition_id: busier})


async def test_a_market_keeps_its_partition_and_its_resolution(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one = market("one")
    await catalog.put([one])
    moved = replace(one, family="event:1", partition=(one.partition + 1) % 64)
    await catalog.put([moved])
    assert (await catalog.load())[one.condition_id] == replace(moved, partition=one.partition)
    over = replace(one, state="resolved", winner=1)
    await catalog.put([over])
    assert await catalog.put([one]) == 0, "an older answer of the venue does not undo a resolution"
    assert (await catalog.load())[one.condition_id].winner == 1
    assert await catalog.put([replace(over, winner="split")]) == 1


async def test_more_markets_than_one_transaction_carries(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    first = market("first")
    markets = [replace(first, condition_id=f"0x{n:064x}") for n in range(2 * CHUNK + 1)]
    assert await catalog.put(markets) == 2 * CHUNK + 1
    assert len(await catalog.load()) == 2 * CHUNK + 1


async def test_a_market_named_twice_is_written_once_as_the_last_one_says(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one = market("one")
    assert await catalog.put([one, replace(one, slug="newer")]) == 1
    assert (await catalog.load())[one.condition_id].slug == "newer"


async def test_writers_at_once_agree_on_one_partition_and_log_no_record_twice(redis: Redis) -> None:
    markets = [market(f"m{n}") for n in range(20)]

    def as_seen_by(writer: int) -> list[Market]:
        return [replace(one, partition=writer) for one in markets]

    changed = await asyncio.gather(*(Catalog(redis, KEYS).put(as_seen_by(writer)) for writer in range(4)))
    assert sorted(changed) == [0, 0, 0, 20]
    assert len({one.partition for one in (await Catalog(redis, KEYS).load()).values()}) == 1
    assert len(await log(redis)) == 20


async def test_a_catalog_that_others_keep_changing_is_given_up_with_nothing_written(
    redis: Redis, server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.catalog.ATTEMPTS", 3)
    one, other = market("one"), market("other")
    catalog = Catalog(redis, KEYS)
    with server.client() as meddler:

        def meddle(*_: object) -> list[object]:
            meddler.hset(KEYS.catalog, other.condition_id, other.to_json())
            return real(*_)  # type: ignore[arg-type, return-value]

        real = module._differences
        monkeypatch.setattr(module, "_differences", meddle)
        with pytest.raises(
            CatalogError, match="changed the catalog 3 times meanwhile; 1 records not written"
        ):
            await catalog.put([one])
    assert list(await catalog.load()) == [other.condition_id]
    assert await log(redis) == []


async def test_dropped_markets_are_gone_and_logged(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one, two = market("one"), market("two")
    await catalog.put([one, two])
    assert await catalog.drop([one.condition_id, "0xunknown"]) == 1
    assert list(await catalog.load()) == [two.condition_id]
    assert (await log(redis))[-1] == (one.condition_id, "dropped")


@pytest.mark.parametrize("garbage", ["{", "[]", '{"condition_id": 1}'])
async def test_garbage_is_named_and_never_overwritten_in_silence(redis: Redis, garbage: str) -> None:
    catalog = Catalog(redis, KEYS)
    one, two = market("one"), market("two")
    await catalog.put([one, two])
    await redis.hset(KEYS.catalog, one.condition_id, garbage)
    with pytest.raises(
        CatalogError, match=f"1 of 2 catalog records cannot be read, first {one.condition_id}"
    ):
        await catalog.load()
    with pytest.raises(CatalogError, match=one.condition_id):
        await catalog.put([one])
    assert await catalog.drop([one.condition_id]) == 1
    assert await catalog.put([one]) == 1


async def test_a_record_under_a_strange_id_is_garbage(redis: Redis) -> None:
    await redis.hset(KEYS.catalog, "0xother", market("one").to_json().decode())
    with pytest.raises(CatalogError, match="0xother"):
        await Catalog(redis, KEYS).load()


async def test_the_contract_is_entered_once_and_compared_ever_after(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    await catalog.check_contract(64)
    await catalog.check_contract(64)
    assert as_text(await redis.get("test:contract:partitions") or "") == "64"
    assert as_text(await redis.get("test:contract:version") or "") == "1"
    with pytest.raises(PartitionsError, match="set up with PARTITIONS=64, this program has 32"):
        await catalog.check_contract(32)
    await redis.set(KEYS.contract_version, "2")
    with pytest.raises(ContractError, match="contract version=2, this program has 1"):
        await catalog.check_contract(64)
    assert as_text(await redis.get(KEYS.contract_partitions) or "") == "64"


async def test_a_prefix_is_a_catalog_of_its_own(redis: Redis) -> None:
    await Catalog(redis, KEYS).put([market("one")])
    assert await Catalog(redis, Keys("other:")).load() == {}


async def test_newer_reads_what_the_log_names_and_no_more(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    one, two, three = market("one"), market("two"), market("three")
    await catalog.put([one, two])
    before = await catalog.newer(Snapshot(NO_REVISION, {}))
    assert before == await catalog.snapshot()
    assert await catalog.newer(before) == before

    finer = replace(one, tick_size="0.001")
    await catalog.put([finer, three])
    await catalog.drop([two.condition_id])
    # The log does not name this one: whoever reads it again reads too much.
    await redis.hset(KEYS.catalog, three.condition_id, three.to_json().decode())
    seen = await catalog.newer(before)
    assert seen.markets == {finer.condition_id: finer, three.condition_id: three}
    assert seen.revision == await catalog.revision()
    assert before.markets == {one.condition_id: one, two.condition_id: two}, "what was read stays as it was"

    await redis.hset(KEYS.catalog, three.condition_id, "{")
    assert await catalog.newer(seen) == seen, "nothing was logged, so nothing is read"


async def test_newer_reads_all_when_the_log_does_not_reach_back(redis: Redis) -> None:
    catalog = Catalog(redis, KEYS)
    first = market("first")
    many = [replace(first, condition_id=f"0x{n:064x}") for n in range(2 * CHUNK + 1)]
    await catalog.put(many)
    before = await catalog.newer(Snapshot(NO_REVISION, {}))
    assert len(before.markets) == len(many)

    await redis.flushall()
    assert await catalog.newer(before) == Snapshot(NO_REVISION, {})
    await catalog.put(many[:3])
    after_loss = await catalog.newer(before)
    assert after_loss == await catalog.snapshot()
    assert len(after_loss.markets) == 3

    await redis.xtrim(KEYS.catalog_log, maxlen=1, approximate=False)
    await catalog.put(many[3:5])
    await redis.xtrim(KEYS.catalog_log, maxlen=1, approximate=False)
    assert await catalog.newer(after_loss) == await catalog.snapshot()


async def test_newer_is_whole_while_others_write(redis: Redis) -> None:
    catalog, other = Catalog(redis, KEYS), Catalog(redis, KEYS)
    first = market("first")
    many = [replace(first, condition_id=f"0x{n:064x}") for n in range(3 * CHUNK)]
    await catalog.put(many)
    started = asyncio.Event()

    async def change() -> None:
        for number in range(30):
            await other.put([replace(many[number * 7], tick_size="0.001")])
            started.set()

    changing = asyncio.create_task(change())
    await started.wait()
    seen = Snapshot(NO_REVISION, {})
    while not changing.done():
        seen = await catalog.newer(seen)
    await changing
    assert await catalog.newer(seen) == await catalog.snapshot()
