"""Frames that cannot be used cost what they must, and never the connection."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.rig import Streams, causes, raw, until, verified, worker_settings, working
from tests.redis_server import PrivateRedis

MARKETS = 2
TOKENS = 2 * MARKETS


@pytest.fixture
async def venue(server: PrivateRedis, streams: Streams, tmp_path: Path) -> AsyncIterator[FakeVenue]:
    """A venue with a worker on it, all tokens live; at the end the worker is stopped and all streams proven."""
    async with open_venue(MARKETS) as venue:
        settings = worker_settings(
            server.url,
            worker_id="w1",
            venue_ws_url=venue.ws_url,
            clob_url=venue.url,
            catalog=venue.write_catalog(tmp_path / "catalog.json"),
        )
        async with working(settings):
            await until(lambda: tops(streams) == TOKENS, "all tokens are live")
            yield venue
            assert len(venue.opens) == 1, "the connection did not go on"
        await verified(server.url)


def tops(streams: Streams) -> int:
    return sum(row.entry.kind == "top" for row in streams.all_rows())


def gaps(streams: Streams) -> list[str]:
    return [cause for rows in streams.by_market().values() for cause in causes(rows) if cause != "handover"]


def kept(streams: Streams) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in raw(streams, "quarantine")]


async def counted(streams: Streams, name: str, at_least: int) -> None:
    await until(lambda: streams.status("w1")["counters"][name] >= at_least, f"{name} is {at_least}")


@pytest.mark.parametrize(
    "frame",
    [b"\xff\xfe\xfd", b'{"event_type":"price_change","market":', b"\x00" * 5000, b'[{"a":1}, 7'],
    ids=["invalid UTF-8", "half an object", "zeros", "half an array"],
)
async def test_an_unreadable_frame_is_put_aside_and_all_books_are_compared(
    venue: FakeVenue, streams: Streams, frame: bytes
) -> None:
    # REST disagrees about one token: it must be found within five seconds, and only it.
    wrong = venue.markets[1].tokens[0]
    good = venue._books[wrong]
    venue.rest[wrong] = orjson.dumps({**good, "timestamp": "1799999999999", "bids": good["bids"][:1]})
    await venue.send(frame)
    (aside,) = await until(lambda: kept(streams), "it is put aside")
    assert aside[b"frame"] == frame[:4096]
    assert aside[b"length"] == str(len(frame)).encode()
    assert aside[b"sha256"] == hashlib.sha256(frame).hexdigest().encode()
    await until(lambda: gaps(streams) == ["desync"], "the wrong book is found", 5.0)
    venue.rest.clear()
    await until(lambda: tops(streams) == TOKENS + 1, "its new snapshot")
    (row,) = [row for row in streams.all_rows() if row.entry.gap_cause == "desync"]
    assert row.entry.outcome == 0


async def test_a_bad_message_of_a_known_market_costs_that_market(venue: FakeVenue, streams: Streams) -> None:
    one, other = venue.markets
    bad = {
        "event_type": "price_change",
        "market": one.condition_id,
        "timestamp": "1790000001000",
        "price_changes": [{"asset_id": one.tokens[0], "price": "1e9", "size": "1", "side": "BUY"}],
    }
    await venue.send(orjson.dumps(bad))
    await until(lambda: gaps(streams) == ["desync", "desync"], "a gap for each of its tokens")
    await until(lambda: tops(streams) == TOKENS + 2, "new snapshots")
    assert causes(streams.by_market()[other.condition_id]) == ["handover"]
    assert kept(streams)[0][b"reason"] == b"not a decimal number: '1e9'"


async def test_garbage_without_end_is_counted_and_starves_nobody(venue: FakeVenue, streams: Streams) -> None:
    for number in range(500):
        await venue.send(b"{garbage %d" % number)
        if number % 50 == 0:
            await venue.quote(venue.markets[0], 20 + number // 50)
    await counted(streams, "malformed", 500)
    assert tops(streams) >= TOKENS + 20
    # A minute may have begun in between, and with it a second allowance.
    assert len(kept(streams)) in range(10, 21)
    said = streams.status("w1")
    assert said["counters"]["quarantined"] == 500
    assert said["counters"]["quarantine_unwritten"] == 500 - len(kept(streams))
    assert said["counters"]["disconnects"] == 0


async def test_what_is_only_strange_is_counted(venue: FakeVenue, streams: Streams) -> None:
    stranger = "0x" + "ab" * 32
    await venue.send(b"INVALID OPERATION")
    await venue.send(b"NO NEW ASSETS")
    await venue.send(b'{"event_type":"parade","market":"%s"}' % stranger.encode())
    await venue.send(b'{"gameId":1,"score":"1-0"}')
    await venue.send(b"[]")
    foreign = {
        "event_type": "last_trade_price",
        "market": stranger,
        "asset_id": "1",
        "price": "0.5",
        "size": "1",
        "side": "BUY",
        "timestamp": "1790000001000",
    }
    await venue.send(orjson.dumps(foreign))
    await venue.quote(venue.markets[0], 66)
    await until(lambda: tops(streams) == TOKENS + 2, "the stream goes on")
    await counted(streams, "foreign", 1)
    said = streams.status("w1")
    assert {name: count for name, count in said["events"].items() if not name.startswith("new_market")} == {
        "text:INVALID OPERATION": 1,
        "text:NO NEW ASSETS": 1,
        "unknown:parade": 1,
        "unknown:untyped": 1,
    }
    assert gaps(streams) == []
    assert kept(streams) == []


async def test_where_rest_answers_nonsense_every_book_in_doubt_is_fetched_anew(
    venue: FakeVenue, streams: Streams
) -> None:
    venue.rest[venue.markets[0].tokens[0]] = b'{"asset_id": broken'
    await venue.send(b"{garbage")
    await until(lambda: gaps(streams) == ["desync"] * TOKENS, "no book is believed any more")
    await until(lambda: tops(streams) == 2 * TOKENS, "new snapshots")
    venue.rest.clear()
    asked = venue.rest_asked
    await venue.send(b"{garbage")
    await until(lambda: venue.rest_asked > asked, "REST is asked again")
    await venue.quote(venue.markets[0], 66)
    await until(lambda: tops(streams) == 2 * TOKENS + 2, "the stream goes on")
    assert gaps(streams) == ["desync"] * TOKENS


async def test_a_long_answer_of_rest_is_read_to_its_end(venue: FakeVenue, streams: Streams) -> None:
    token = venue.markets[0].tokens[0]
    book = venue._books[token]
    deep = [{"price": f"0.{place:06d}", "size": "1"} for place in range(1, 9000)]
    venue.rest[token] = orjson.dumps({**book, "timestamp": "1799999999999", "bids": deep})
    assert len(venue.rest[token]) > 4 * 65_536
    await venue.send(b"{garbage")
    await until(lambda: gaps(streams) == ["desync"], "the difference is found", 5.0)
    venue.rest.clear()
