"""The engine as a program: on real streams, with a catalog that changes meanwhile, killed, and on a copy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consumers import silence
from consumers.arbitrage import listing
from consumers.arbitrage.listing import run as run_listing
from consumers.arbitrage.partition import PartitionEngine
from consumers.arbitrage.service import run as run_engine
from consumers.arbitrage.settings import ArbitrageSettings, OpportunitiesSettings
from consumers.catalog.command import run as run_catalog
from consumers.catalog.settings import CatalogSettings
from consumers.replay.command import run as run_replay
from consumers.replay.settings import ReplaySettings
from marketdata.clock import now_ms
from marketdata.entries import Entry, EntryId, gap_note
from marketdata.errors import EntryError, SettingsError
from marketdata.groups import Batch, Silent
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.market import Market
from tests.acceptance.arbitrage_run import digest
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.unit.test_bruteforce import above, buckets, contest

START_MS = 1_795_000_000_000
Rows = list[tuple[EntryId, dict[str, str]]]


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as running:
        yield running


class Venue:
    """Streams of one family, written as a worker writes them."""

    def __init__(self, server: PrivateRedis, markets: list[Market]) -> None:
        self.url = server.url
        self.client = server.client()
        self.client.flushall()
        self.keys = Keys()
        self.client.set(self.keys.contract_version, CONTRACT_VERSION)
        self.client.set(self.keys.contract_partitions, 64)
        self.markets = markets
        (self.partition,) = {one.partition for one in markets}
        self.ms = START_MS
        self.n = 0
        self.seqs: dict[str, int] = {}
        self.list(*markets)

    def list(self, *markets: Market, why: str = "new") -> None:
        for one in markets:
            self.client.hset(self.keys.catalog, one.condition_id, one.to_json())
            self.client.xadd(self.keys.catalog_log, {"id": one.condition_id, "why": why})

    def clock(self, *, later_ms: int = 1) -> EntryId:
        fields = {"worker": "w1", "epoch": "1", "live": "2", "stale": "0"}
        return self._add(self.keys.clock(self.partition), fields, later_ms)

    def ask(self, market: Market, outcome: int, price: str, *, later_ms: int = 1) -> EntryId:
        return self.entry(market, "top", outcome, ask=price, ask_size="100", later_ms=later_ms)

    def entry(
        self,
        market: Market,
        kind: Any,
        outcome: int | None,
        ask: str = "",
        ask_size: str = "",
        note: str = "",
        later_ms: int = 1,
    ) -> EntryId:
        token = market.tokens[outcome or 0]
        self.seqs[token] = self.seqs.get(token, 0) + (kind == "top")
        entry = Entry(
            kind, outcome, "", "", ask, ask_size, self.ms, self.ms * 1000, 1, self.seqs[token], 0, note
        )
        return self._add(self.keys.book(self.partition, market.condition_id), entry.to_fields(), later_ms)

    def _add(self, key: str, fields: dict[str, str], later_ms: int) -> EntryId:
        self.ms += later_ms
        self.n += 1
        at = EntryId(self.ms, self.n)
        self.client.xadd(key, fields, id=str(at))  # type: ignore[arg-type]
        self.client.publish(self.keys.wake(self.partition), str(at))
        return at

    def told(self, prefix: str = "") -> Rows:
        rows: Any = self.client.xrange(Keys(prefix).opportunities(self.partition))
        return [
            (EntryId.parse(at), {name.decode(): value.decode() for name, value in fields.items()})
            for at, fields in rows
        ]

    def said(self, prefix: str = "") -> list[str]:
        return [
            " ".join(filter(None, (row["action"], row["kind"], row["reason"])))
            for _, row in self.told(prefix)
        ]

    def handled(self, prefix: str = "") -> bytes | None:
        return self.client.hget(Keys(prefix).arbitrage(self.partition), "handled")  # type: ignore[return-value]

    def settings(self, **given: Any) -> ArbitrageSettings:
        return ArbitrageSettings(redis_url=self.url, member="test", **given)

    async def once(self, **given: Any) -> None:
        assert await run_engine(self.settings(once=True, **given), asyncio.Event()) == 0

    async def caught_up(self, at: EntryId) -> None:
        await until(
            lambda: self.handled() == str(at).encode(), lambda: f"handled {self.handled()!r}, not {at}"
        )


@asynccontextmanager
async def running(venue: Venue, **given: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_engine(venue.settings(**given), stop))
    try:
        yield
    finally:
        stop.set()
        assert await task == 0


def ladder() -> list[Market]:
    return above(80_000, 82_000)


async def test_an_opportunity_stands_in_its_partitions_stream(server: PrivateRedis) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    last = venue.ask(high, 1, "0.4")
    end = venue.ask(high, 1, "0.6", later_ms=40)
    await venue.once()
    assert venue.said() == ["open ladder", "close ladder price"]
    (at, opened), (_, closed) = venue.told()
    assert at == EntryId(last.ms, last.n * 1000)
    assert (opened["net"], opened["cost"], opened["event"]) == (
        "10",
        "90",
        "bitcoin-above-on-november-30-2026",
    )
    assert (closed["duration_ms"], closed["opened"]) == ("40", str(at))
    assert venue.handled() == str(end).encode()
    lease: Any = venue.client.hgetall(venue.keys.lease(venue.partition, "arbitrage"))
    assert lease[b"handled"] == str(end).encode()


async def test_it_follows_live_and_goes_on_where_it_was(server: PrivateRedis) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    async with running(venue):
        venue.clock()
        venue.ask(low, 0, "0.5")
        await venue.caught_up(venue.ask(high, 1, "0.4"))
        assert venue.said() == ["open ladder"]
    venue.ask(high, 1, "0.45")
    async with running(venue):
        await venue.caught_up(venue.ask(low, 0, ""))
    assert venue.said() == ["open ladder", "update ladder", "close ladder empty"]


async def test_a_catalog_that_changes_on_the_way_is_adopted_and_a_copy_does_the_same(
    server: PrivateRedis,
) -> None:
    low, high = ladder()
    (later,) = above(84_000)
    venue = Venue(server, [low, high])
    async with running(venue):
        venue.clock()
        venue.ask(low, 0, "0.5")
        await venue.caught_up(venue.ask(high, 1, "0.4"))
        venue.list(later)
        venue.list(replace(high, left_out="its label says something else"), why="left_out")
        # The same instant for all: the new market's first entry comes after its record.
        await venue.caught_up(venue.ask(later, 1, "0.3"))
        venue.list(replace(low, state="resolved", winner=1), why="state,winner")
        await venue.caught_up(venue.clock(later_ms=500))
    assert venue.said() == ["open ladder", "close ladder catalog", "open ladder", "close ladder catalog"]
    revisions = {row["catalog"] for _, row in venue.told()}
    assert len(revisions) == 3
    adoptions: Any = venue.client.xrange(venue.keys.adoptions(venue.partition))
    assert len(adoptions) == 3
    # The copy's own catalog knows only the end, where nothing can be bought any more.
    await run_replay(ReplaySettings(redis_url=venue.url, into="copy:"))
    await venue.once(key_prefix="copy:")
    assert venue.told("copy:") == venue.told()
    assert digest(venue.client, "copy:") == digest(venue.client, "")
    # Without the records the end is believed to the streams, but not that a title was wrong all along.
    venue.client.delete(venue.keys.adoptions(venue.partition))
    await run_replay(ReplaySettings(redis_url=venue.url, into="bare:"))
    await venue.once(key_prefix="bare:")
    assert venue.said("bare:") == ["open ladder"]
    assert len(venue.told("bare:")[0][1]["legs"]) > 0
    assert later.condition_id in venue.told("bare:")[0][1]["legs"]


async def test_a_market_that_was_over_before_anyone_looked_is_told_by_its_stream(
    server: PrivateRedis,
) -> None:
    markets = contest("abc")
    venue = Venue(server, markets)
    venue.clock()
    for market in markets:
        venue.ask(market, 0, "0.3")
    venue.entry(markets[0], "resolved", None, note="1")
    venue.list(replace(markets[0], state="resolved", winner=1), why="state,winner")
    await venue.once()
    assert venue.said() == ["open negrisk-yes", "close negrisk-yes resolved", "open negrisk-yes"]


async def test_silence_adopts_nothing_and_the_state_is_whole_from_the_first_entry_on(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.groups.tenure.SILENT_AFTER_S", 0.0)
    low, high = ladder()
    venue = Venue(server, [low, high])
    state = venue.keys.arbitrage(venue.partition)
    # A stream without entries: nobody vouches for the partition, and nothing is to be handled.
    venue.client.xgroup_create(
        venue.keys.book(venue.partition, low.condition_id), "arbitrage", id="0", mkstream=True
    )
    silences = 0
    handle = PartitionEngine.__call__

    async def counting(engine: PartitionEngine, batch: Batch) -> None:
        nonlocal silences
        await handle(engine, batch)
        silences += any(isinstance(item, Silent) for item in batch.items)

    monkeypatch.setattr(PartitionEngine, "__call__", counting)
    async with running(venue):
        await until(lambda: silences > 0, "the silence was told")
        await venue.caught_up(venue.ask(low, 0, "0.5"))
        assert venue.client.hexists(state, "terms")
        assert venue.client.xlen(venue.keys.adoptions(venue.partition)) == 1
    await venue.once()
    venue.clock()
    venue.ask(high, 1, "0.4")
    await venue.once()
    assert venue.said() == ["open ladder"]
    assert venue.client.xlen(venue.keys.adoptions(venue.partition)) == 1


async def test_another_group_does_not_write_into_the_same_streams(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    venue.clock()
    await venue.once()
    with pytest.raises(SettingsError, match="written by group arbitrage"):
        await venue.once(group="other")
    assert not [key for key in venue.client.keys("*") if b"other" in key]  # type: ignore[union-attr]


async def test_a_redis_that_forgot_everything_gets_a_whole_state_again(server: PrivateRedis) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    async with running(venue):
        venue.clock()
        await venue.caught_up(venue.ask(low, 0, "0.5"))
        venue.client.flushall()
        venue.client.set(venue.keys.contract_version, CONTRACT_VERSION)
        venue.client.set(venue.keys.contract_partitions, 64)
        venue.list(low, high)
        venue.clock()
        venue.ask(low, 0, "0.5")
        await venue.caught_up(venue.ask(high, 1, "0.4"))
    venue.ask(high, 1, "0.9")
    await venue.once()
    assert venue.said() == ["open ladder", "close ladder price"]


async def test_a_redis_that_starts_again_is_waited_for() -> None:
    low, high = ladder()
    with PrivateRedis(appendonly=True) as own:
        venue = Venue(own, [low, high])
        async with running(venue):
            venue.clock()
            await venue.caught_up(venue.ask(low, 0, "0.5"))
            own.restart()
            venue.client = own.client()
            # A new revision has to be read, and entries wait.
            venue.list(*above(84_000))
            await venue.caught_up(venue.ask(high, 1, "0.4"))
        assert venue.said() == ["open ladder"]


async def test_a_state_that_went_away_is_found_again_under_the_same_ids(
    server: PrivateRedis,
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    venue.ask(high, 1, "0.4")
    await venue.once()
    before = venue.told()
    keys = venue.keys
    venue.client.delete(keys.arbitrage(venue.partition), keys.lease(venue.partition, "arbitrage"))
    for key in [
        keys.clock(venue.partition),
        *(keys.book(venue.partition, one.condition_id) for one in (low, high)),
    ]:
        venue.client.xgroup_destroy(key, "arbitrage")
    venue.ask(high, 1, "0.6")
    await venue.once()
    assert venue.told()[:1] == before
    assert venue.said() == ["open ladder", "close ladder price"]


async def test_a_state_that_cannot_be_read_stops_it_and_says_so(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    venue.clock()
    await venue.once()
    venue.client.hset(venue.keys.arbitrage(venue.partition), "clock", "soon")
    venue.clock()
    with pytest.raises(EntryError, match="state cannot be read"):
        await venue.once()


async def test_overrides_correct_and_exclude(
    server: PrivateRedis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    venue.ask(high, 1, "0.4")
    file = tmp_path / "overrides.toml"
    file.write_text(f'[markets.{high.slug}]\nexclude = "odd"\n')
    await venue.once(catalog_overrides=str(file))
    assert venue.said() == []
    file.write_text(f'[markets.{high.condition_id}]\nlower = "83000"\n')
    venue.clock()
    await venue.once(catalog_overrides=str(file))
    assert venue.said() == ["open ladder"]
    assert "/" in venue.told()[0][1]["catalog"]
    assert "names" not in capsys.readouterr().err
    file.write_text('[markets.no-such-slug]\nexclude = "odd"\n')
    await venue.once(catalog_overrides=str(file))
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "names" in one]
    assert "CATALOG_OVERRIDES names 'no-such-slug', which no market or event" in line


async def test_the_catalog_shows_families_and_why_not(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high, odd = above(80_000, 82_000, 90_000)
    odd = replace(odd, lower="", left_out="the label says 91000 to ..., the question 90000 to ...")
    venue = Venue(server, [low, high, odd, *buckets(80_000, 82_000)])
    venue.list(*contest("abcd")[:3])
    assert await run_catalog(CatalogSettings(redis_url=venue.url, json_=True)) == 0
    rows = {row["family"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    price = next(row for key, row in rows.items() if key.startswith("price:"))
    assert price["baskets"]["ladder"] == 1
    assert price["baskets"]["trio"] == 5
    assert sorted(one["lower"] for one in price["markets"] if one["kind"] == "threshold") == [
        "",
        "80000",
        "82000",
    ]
    (left_out,) = [one["left_out"] for one in price["markets"] if one["left_out"]]
    assert left_out.startswith("the label says")
    contests = next(row for key, row in rows.items() if not key.startswith("price:"))
    assert contests["not_formed"] == ["the venue lists 4 markets in the event, the catalog holds 3"]
    assert await run_catalog(CatalogSettings(redis_url=venue.url, left_out=True)) == 0
    said = capsys.readouterr().out
    assert "left out: the label says" in said
    assert "not formed: the venue lists 4" in said
    with pytest.raises(SettingsError, match="no market, event or family"):
        await run_catalog(CatalogSettings(redis_url=venue.url, event=("nowhere",)))


async def test_opportunities_are_listed_followed_and_summed_up(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    venue.ask(high, 1, "0.4")
    venue.ask(high, 1, "0.6", later_ms=250)
    await venue.once()
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url)) == 0
    told = capsys.readouterr()
    assert "bookstream opportunities" not in told.err, "the engine was heard just now"
    said = told.out.splitlines()
    assert "open   ladder" in said[0]
    assert "  Bitcoin 2026-11-30 17:00 UTC  " in said[0]
    assert "buy" in said[1]
    assert "after 250ms, best $10, by price" in said[-1]
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url, json_=True, count=1)) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["net"], len(row["legs"])) == ("10", 2)
    following = asyncio.create_task(
        run_listing(OpportunitiesSettings(redis_url=venue.url, follow=True, from_="0", count=3, json_=True))
    )
    async with running(venue):
        venue.clock(later_ms=5_000)
        await venue.caught_up(venue.ask(high, 1, "0.4"))
    assert await asyncio.wait_for(following, 30) == 0
    assert [json.loads(line)["action"] for line in capsys.readouterr().out.splitlines()] == [
        "open",
        "close",
        "open",
    ]
    assert await run_engine(venue.settings(report=True, json_=True), asyncio.Event()) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["opened"], report["still_open"], report["net"]) == (2, 1, "20")
    assert report["kinds"]["ladder"]["duration_ms"]["max"] == 250
    assert await run_engine(venue.settings(report=True), asyncio.Event()) == 0
    assert "2 opportunities (1 still open)" in capsys.readouterr().out


async def test_an_engine_that_is_silent_is_told_of(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = Venue(server, ladder())
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url)) == 0
    assert capsys.readouterr().err.splitlines() == [
        "bookstream opportunities: no engine is known here; bookstream arbitrage looks for opportunities"
    ]
    venue.clock()
    await venue.once()
    venue.client.zadd(venue.keys.groups, {"arbitrage": now_ms() - 3 * 3_600_000, "mine": now_ms()})
    capsys.readouterr()
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url)) == 0
    assert await run_engine(venue.settings(report=True), asyncio.Event()) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "bookstream opportunities: no opportunity was found there"
    assert [line.split(": ", 1)[1].split(", at ")[0] for line in said[1:]] == [
        "the engine was last heard of 3h ago"
    ] * 2
    monkeypatch.setattr(silence, "SILENT_AFTER_S", 0.5)
    monkeypatch.setattr(listing, "LISTEN_EVERY_S", 0.1)
    following = asyncio.create_task(run_listing(OpportunitiesSettings(redis_url=venue.url, follow=True)))
    try:
        heard: list[str] = []

        def says(word: str) -> bool:
            heard.extend(capsys.readouterr().err.splitlines())
            return any(word in line for line in heard)

        await until(lambda: says("no word of the engine for"), "its silence is told")
        venue.client.zadd(venue.keys.groups, {"arbitrage": now_ms()})
        await until(lambda: says("the engine is heard again, after"), "its return is told")
        assert sum("no word of the engine" in line for line in heard) == 1
    finally:
        following.cancel()
        await asyncio.wait({following})


async def test_a_listed_trio_names_its_strikes_and_what_it_is_on(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    between = buckets(80_000, 82_000)[1]
    venue = Venue(server, [low, high, between])
    venue.clock()
    for market, outcome, price in ((low, 0, "0.7"), (high, 1, "0.6"), (between, 1, "0.6")):
        venue.ask(market, outcome, price)
    await venue.once()
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url)) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "pays 2 (1 at 80000, 3 at 82000)" in first


def falls_silent(venue: Venue, low: Market, high: Market) -> EntryId:
    """The lower leg says its last; 18 s later the other one seems to make an edge with it, for 40 ms and once more
    until a gap says that nothing was heard of the lower one since. Then it speaks again, and there is a true edge."""
    venue.clock()
    last = venue.ask(low, 0, "0.5")
    for _ in range(9):
        venue.clock(later_ms=2_000)
    venue.ask(high, 1, "0.4", later_ms=760)
    venue.ask(high, 1, "0.6", later_ms=40)
    venue.clock(later_ms=2_000)
    venue.ask(high, 1, "0.3")
    venue.entry(low, "gap", 0, note=gap_note("stale", last.ms * 1000, "w1"), later_ms=9)
    venue.ask(low, 0, "0.5", later_ms=1_000)
    return venue.clock()


async def report_of(venue: Venue, capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    capsys.readouterr()
    assert await run_engine(venue.settings(report=True, json_=True, **given), asyncio.Event()) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


async def test_what_was_opened_on_a_silent_leg_is_told_with_its_age_and_disproved_by_its_gap(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    async with running(venue):
        await venue.caught_up(falls_silent(venue, low, high))
    first = ["open ladder", "close ladder price", "open ladder", "close ladder gap", "open ladder"]
    assert venue.said() == first
    (_, opened), _, _, (_, by_gap), _ = venue.told()
    ages = {leg["market"]: (leg["age_ms"], leg["vouched_ms"]) for leg in json.loads(opened["legs"])}
    assert ages == {low.condition_id: (18_760, 760), high.condition_id: (0, 0)}
    assert [row["doubted_since_ms"] for _, row in venue.told()] == ["", "", "", str(START_MS + 2), ""]
    assert by_gap["doubted_since_ms"] < by_gap["opened"]
    report = await report_of(venue, capsys)
    assert (report["opened"], report["net"]) == (3, "50")
    assert report["disproved"] == {"opened": 2, "net": "30", "by_cause": {"stale": 2}}
    assert report["cannot_be_known"] == {"opened": 0, "net": "0"}
    assert report["standing"] == {"opened": 1, "net": "20"}
    assert await run_engine(venue.settings(report=True), asyncio.Event()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of them ($30) were disproved later" in said
    assert "(stale 2) 1 of them ($20) stand so far" in said
    assert await run_listing(OpportunitiesSettings(redis_url=venue.url)) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "ladder" in line]
    assert lines[0].endswith("  oldest leg 19s")
    assert lines[3].endswith("by gap, in doubt since 11:06:40.002")


async def test_a_limit_on_the_own_top_keeps_a_silent_leg_out(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    falls_silent(venue, low, high)
    # Nothing new of either leg for longer than the limit: it closes, though the clock vouches for both.
    for _ in range(3):
        venue.clock(later_ms=2_000)
    await run_replay(ReplaySettings(redis_url=venue.url, into="live:"))
    await venue.once(arb_max_top_age_ms=5_000)
    assert venue.said() == ["open ladder", "close ladder old"]
    # The other leg's top was 1,009 ms old at the opening; the third clock finds it 5,010 ms old.
    assert venue.told()[1][1]["duration_ms"] == "4001"
    report = await report_of(venue, capsys)
    assert (report["disproved"]["opened"], report["standing"]) == (0, {"opened": 1, "net": "20"})
    await venue.once(key_prefix="live:", arb_max_top_age_ms=5_000)
    assert digest(venue.client, "live:") == digest(venue.client, "")


async def test_what_was_trimmed_since_cannot_be_known(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    end = falls_silent(venue, low, high)
    await venue.once()
    key = venue.keys.book(venue.partition, low.condition_id)
    venue.client.xtrim(key, minid=str(EntryId(end.ms - 1, 0)), approximate=False)
    report = await report_of(venue, capsys)
    # The first lost its gap; the second's close tells of it; the third opened with the entry that is still there.
    assert report["cannot_be_known"] == {"opened": 1, "net": "10"}
    assert report["disproved"] == {"opened": 1, "net": "20", "by_cause": {"not kept": 1}}
    assert report["standing"] == {"opened": 1, "net": "20"}
    venue.client.delete(key)
    report = await report_of(venue, capsys)
    assert (report["cannot_be_known"]["opened"], report["standing"]["opened"]) == (2, 0)
    assert await run_engine(venue.settings(report=True), asyncio.Event()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of them ($30) cannot be judged" in said
