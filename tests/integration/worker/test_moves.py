"""Markets that change connections, over real sockets and under traffic, and what may come in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from simulator.captured.records import KnownMarket
from tests.integration.worker.fake_venue import FakeVenue
from tests.integration.worker.rig import Row, until, verified
from tests.integration.worker.silence_rig import MARKETS, Start, Watched, both_modes, one_mode
from tests.redis_server import PrivateRedis
from worker import moves

# -- replacing connections of some age ----------------------------------------------------------------------


def told(rows: list[Row]) -> list[tuple[str, str, str, str, str]]:
    """What a token's tops and trades say, in order."""
    return [(row.entry.kind, *row.quote) for row in rows if row.entry.kind in ("top", "trade")]


@both_modes
async def test_connections_are_replaced_under_traffic_without_a_gap_a_loss_or_a_double(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    sent: dict[tuple[str, int], list[tuple[str, str, str, str, str]]] = {}

    async def traffic() -> None:
        number = 50
        while True:
            number += 1
            one, outcome = venue.markets[number % MARKETS], number // MARKETS % 2
            said = sent.setdefault((one.condition_id, outcome), [])
            cents = 10 + number % 80
            await venue.quote(one, cents, [outcome])
            said.append(("top", f"0.{cents}", "30", f"0.{cents + 1}", "40"))
            await venue.trade(one, str(number), outcome)
            said.append(("trade", "", "", f"0.{cents + 1}", str(number)))
            await venue.resize(one, str(1000 + number), outcome)
            said.append(("top", f"0.{cents}", str(1000 + number), f"0.{cents + 1}", "40"))
            await asyncio.sleep(0.01)

    async with start(connection_max_age_s=1, stale_after_s=60):
        await watched.live()
        running = asyncio.create_task(traffic())
        await until(lambda: watched.counter("rotations") >= 2, "two were replaced", 60)
        running.cancel()
        await asyncio.wait({running})
        await until(lambda: watched.counter("pending") == 0, "all is written")
        assert watched.status()["gaps_by_cause"] == {"handover": MARKETS}
        assert watched.counter("moves") >= 2 * MARKETS
        assert len(venue.opens) >= 3
    for one in venue.markets:
        for outcome in (0, 1):
            entries = told(watched.rows(one, outcome))[1:]
            expected = sent[one.condition_id, outcome]
            # Cancelled in the middle of a step: its last words may or may not have been sent.
            assert len(expected) > 50
            assert entries[: len(expected)] == expected[: len(entries)]
            assert len(expected) - 1 <= len(entries) <= len(expected) + 1
    await verified(server.url)


@one_mode
async def test_markets_whose_books_never_agree_leave_an_old_connection_with_a_gap(
    venue: FakeVenue, start: Start, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "ROTATION_PATIENCE_S", 2.0)
    venue.spoilt.update(range(2, 50))
    async with start(connection_max_age_s=3):
        await watched.live()
        await until(lambda: watched.counter("rotations") == 1, "it is replaced")
        await watched.live()
        assert watched.status()["gaps_by_cause"] == {"handover": MARKETS, "disconnect": 2 * MARKETS}
        assert watched.counter("move_gaps") == 2 * MARKETS
        await venue.quote(venue.markets[0], 70)
        await watched.bid(venue.markets[0], 0, 70)


# -- what comes in the middle of a move ---------------------------------------------------------------------


async def under_way(venue: FakeVenue, watched: Watched, one: KnownMarket) -> None:
    """A token is silent on the first connection, and the second is asked for its market; it waits for its sibling."""
    await watched.live()
    venue.spoilt.add(2)
    venue.lost.add((1, one.tokens[0]))
    venue.pass_time(10)
    await venue.quote(one, 70)
    asked = [orjson.dumps(token).decode() for token in one.tokens]
    first = orjson.dumps({"type": "market"}).decode()[1:-1]
    await until(
        lambda: sum(first in text and asked[0] in text for text in venue.received) == 2, "it is asked for"
    )


@one_mode
async def test_a_worker_that_stops_in_the_middle_of_a_move_marks_every_stream_once(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    one = venue.markets[0]
    async with start():
        await under_way(venue, watched, one)
    for each in venue.markets:
        assert [row.entry.gap_cause for row in watched.rows(each)][-1] == "shutdown"
    assert watched.kinds(one, 0)[-1] == "stale"
    assert watched.kinds(one, 1) == ["top", "top"]
    await verified(server.url)


@one_mode
async def test_a_market_that_ends_in_the_middle_of_a_move_ends_with_its_last_entry(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    one = venue.markets[0]
    async with start():
        await under_way(venue, watched, one)
        await venue.resolve(one, 1)
        await until(lambda: watched.rows(one)[-1].entry.kind == "resolved", "its last entry")
        await until(lambda: len(venue.sockets) == 1, "the second connection is closed")
        assert one.tokens[1] not in next(iter(venue.sockets.values())).tokens
        await watched.live(2 * MARKETS - 2)
    assert watched.rows(one)[-1].entry.kind == "resolved"
    await verified(server.url)


@one_mode
async def test_a_market_that_is_not_followed_any_more_leaves_both_connections(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis, tmp_path: Path
) -> None:
    one = venue.markets[0]
    async with start():
        await under_way(venue, watched, one)
        venue.markets = venue.markets[1:]
        venue.write_catalog(tmp_path / "catalog.json")
        await until(lambda: len(venue.sockets) == 1, "the second connection is closed")
        assert one.tokens[1] not in next(iter(venue.sockets.values())).tokens
        assert watched.rows(one)[-1].entry.gap_cause == "shutdown"
        await watched.live(2 * MARKETS - 2)
        written = watched.rows(one)
    assert watched.rows(one) == written
    await verified(server.url)


@one_mode
async def test_a_partition_that_is_lost_in_the_middle_of_a_move_is_left_without_a_word(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    one = venue.markets[0]
    async with start():
        await under_way(venue, watched, one)
        (name,) = [name for name in watched.streams.names() if name.endswith(one.condition_id)]
        partition = name.split("{")[1].split("}")[0]
        lost = {m.condition_id for m in venue.markets if f"{{{partition}}}:{m.condition_id}" in name}
        watched.streams.client.hset(
            watched.streams.keys.lease(int(partition)), mapping={"owner": "w2", "epoch": 9}
        )
        await until(lambda: len(venue.sockets) == 1, "the second connection is closed")
        written = watched.rows(one)
        await venue.quote(one, 75)
        await venue.quote(venue.markets[1], 75)
        await watched.bid(venue.markets[1], 0, 75)
        assert watched.rows(one) == written
        assert lost == {one.condition_id}
        assert not any(token in client.tokens for client in venue.sockets.values() for token in one.tokens)


@one_mode
@pytest.mark.parametrize("which", [1, 2])
async def test_a_connection_that_breaks_in_the_middle_of_a_move_costs_only_its_own_tokens(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis, which: int
) -> None:
    one = venue.markets[0]
    async with start():
        await under_way(venue, watched, one)
        venue.spoilt.clear()
        (socket,) = [socket for socket, client in venue.sockets.items() if client.number == which]
        venue.cut(socket)
        await watched.live()
        await venue.quote(one, 75)
        await watched.bid(one, 0, 75)
        await watched.bid(one, 1, 75)
    gaps = [kind for kind in watched.kinds(one, 1) if kind not in ("top", "trade")]
    assert gaps == (["disconnect"] if which == 1 else [])
    assert watched.kinds(one, 0).count("stale") == 1
    await verified(server.url)
