"""Tokens that fall silent on a healthy connection, over real sockets: who is asked, what is written, what helps."""

from __future__ import annotations

from tests.integration.worker.fake_venue import FakeVenue
from tests.integration.worker.rig import until, verified
from tests.integration.worker.silence_rig import MARKETS, Start, Watched, both_modes, one_mode
from tests.redis_server import PrivateRedis


@both_modes
async def test_each_rung_of_the_ladder_brings_back_what_it_can(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    again, moved, given_up = venue.markets
    async with start():
        await watched.live()
        venue.deaf.add((1, again.tokens[0]))
        venue.lost.add((1, moved.tokens[0]))
        everywhere = [(number, given_up.tokens[0]) for number in range(1, 20)]
        venue.lost.update(everywhere)
        venue.pass_time(10)
        for one in venue.markets:
            await venue.quote(one, 70)
        await watched.bid(again, 0, 70)
        await watched.bid(moved, 0, 70)
        await until(lambda: watched.status()["tokens_quarantined"] == 1, "one is in quarantine")
        await venue.quote(moved, 71)
        await watched.bid(moved, 0, 71)
        venue.lost.difference_update(everywhere)
        await watched.bid(given_up, 0, 70)
        await until(lambda: len(watched.status().get("rescues", {})) == 3, "all rescues are told")
        status = watched.status()
        assert status["rescues"] == {"resubscribe": 1, "move": 1, "slow": 1}
        assert {shard["name"]: shard["tokens"] for shard in status["connections"]} == {"c0": 4, "c1": 2}
        assert status["gaps_by_cause"] == {"handover": MARKETS, "stale": 3}
        assert sorted(e["text"].split(" (")[0] for e in status["log"] if e["what"] == "rescue") == [
            "rescued by move",
            "rescued by resubscribe",
            "rescued by slow",
        ]
    for one in (again, moved, given_up):
        assert "stale" not in watched.kinds(one, 1), "the sibling was never in question"
        assert watched.kinds(one, 0)[:3] == ["top", "stale", "top"]
    await verified(server.url)


@both_modes
async def test_when_all_of_a_connection_is_silent_though_it_answers_all_markets_leave_it(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    async with start(ping_interval_s=1):
        await watched.live()
        (socket,) = venue.sockets
        venue.lost.update((1, token) for one in venue.markets for token in one.tokens)
        venue.pass_time(10)
        for one in venue.markets:
            await venue.quote(one, 70)
        for one in venue.markets:
            for outcome in (0, 1):
                await watched.bid(one, outcome, 70)
        await until(lambda: socket not in venue.sockets, "the old connection is closed")
        assert socket.close_code == 1000
        await until(lambda: [s["name"] for s in watched.status()["connections"]] == ["c1"], "c1 alone")
        assert watched.status()["rescues"] == {"move": 2 * MARKETS}
    await verified(server.url)


@one_mode
async def test_quiet_tokens_that_rest_vouches_for_are_left_alone(
    venue: FakeVenue, start: Start, watched: Watched
) -> None:
    async with start():
        await watched.live()
        await until(lambda: venue.rest_asked >= 6, "REST is asked again and again")
        assert watched.status()["gaps_by_cause"] == {"handover": MARKETS}
        assert sum("unsubscribe" in text for text in venue.received) == 0


@one_mode
async def test_a_sibling_that_never_agrees_on_the_new_connection_gets_a_gap(
    venue: FakeVenue, start: Start, watched: Watched, server: PrivateRedis
) -> None:
    one = venue.markets[0]
    venue.spoilt.add(2)
    async with start():
        await watched.live()
        venue.lost.add((1, one.tokens[0]))
        venue.pass_time(10)
        await venue.quote(one, 70)
        await watched.bid(one, 0, 70)
        assert watched.kinds(one, 1) == ["top", "top", "disconnect", "top"]
        await until(lambda: watched.counter("move_gaps") == 1, "it is counted")
    await verified(server.url)
