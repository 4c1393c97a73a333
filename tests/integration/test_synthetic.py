"""The synthetic venue behind the venue's face: sockets, REST and control."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from marketdata.clock import now_ms
from simulator import service
from simulator.synthetic.opening import Synthetic
from simulator.venue.hub import OUTBOX_BYTES
from tests.integration.worker.rig import until
from tests.naive_venue import NaiveVenue


class Venue:
    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        async with self.http.get(self.url + path, params=params) as answer:
            assert answer.status == status, await answer.text()
            return orjson.loads(await answer.read())

    async def post(self, path: str, status: int = 200, **params: Any) -> Any:
        async with self.http.post(self.url + path, params=params) as answer:
            assert answer.status == status, await answer.text()
            return orjson.loads(await answer.read())

    async def rows(self, since: int) -> tuple[list[dict[str, Any]], int]:
        async with self.http.get(f"{self.url}/control/truths", params={"since": since}) as answer:
            assert answer.status == 200
            lines = (await answer.read()).splitlines()
            return [orjson.loads(line) for line in lines], int(answer.headers["X-Next-Seq"])

    async def tokens(self) -> dict[str, bool]:
        """All tokens, and whether their market is one of a negative-risk event."""
        events = await self.get("/events", limit=500)
        return {
            token: market["negRisk"]
            for event in events
            for market in event["markets"]
            for token in (market.get("positionIds") or orjson.loads(market["clobTokenIds"]))
        }


@asynccontextmanager
async def playing(**given: Any) -> AsyncIterator[Venue]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    run = asyncio.create_task(
        service.run_synthetic(
            Synthetic(**{"seed": seed, "markets": 20, "rate": 400.0, **given}),
            host="127.0.0.1",
            port=0,
            stop=stop,
            on_ready=ready.set_result,
        )
    )
    await asyncio.wait({run, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    if run.done():
        run.result()
    try:
        async with aiohttp.ClientSession() as http:
            yield Venue(ready.result(), http)
    finally:
        stop.set()
        await asyncio.wait_for(run, 10)


@asynccontextmanager
async def subscribed(venue: Venue, tokens: list[str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with venue.http.ws_connect(f"{venue.url}/ws/market") as socket:
        await socket.send_json({"assets_ids": tokens, "type": "market", "custom_feature_enabled": True})
        yield socket


@pytest.mark.parametrize("rate", [0.0, 2_000.0], ids=["flat out", "in real time"])
async def test_a_client_reads_what_is_true_from_its_first_book_on(rate: float) -> None:
    async with playing(rate=rate) as venue:
        risk = await venue.tokens()
        async with subscribed(venue, list(risk)) as socket:
            dump = orjson.loads(await socket.receive_str())
            naive = NaiveVenue((orjson.dumps(row), risk[row["asset_id"]]) for row in dump)
            assert set(naive.tokens) == set(risk)
            while sum(naive.kinds.values()) < 2_500:
                naive.read((await socket.receive_str()).encode())
            await venue.post("/control/pause")
            status = await venue.get("/control/status")
            assert status["state"] == "paused"
            while True:
                try:
                    async with asyncio.timeout(0.5):
                        naive.read((await socket.receive_str()).encode())
                except TimeoutError:
                    break
            for token, one in naive.tokens.items():
                truth = await venue.get("/control/truth", token=token)
                assert tuple(truth["top"].values()) == one.top()
                assert truth["hash"] == truth["book"]["hash"]
                levels = [[level["price"] for level in truth["book"][side]] for side in ("bids", "asks")]
                assert levels == [[price for price, _ in side] for side in one.wire()]


async def test_a_paused_venue_makes_as_many_steps_as_it_is_told() -> None:
    async with playing() as venue:
        await venue.post("/control/step", 409)
        await venue.post("/control/pause")
        before = await venue.get("/control/status")
        assert (await venue.post("/control/step", steps=7))["steps"] == 7
        after = await venue.get("/control/status")
        # One turn of the world can be several steps.
        assert 7 <= after["steps"] - before["steps"] <= 60
        assert after["frames_sent"] > before["frames_sent"]
        await venue.post("/control/step", 400, steps=0)
        await venue.post("/control/resume")

        async def goes_on() -> bool:
            return bool((await venue.get("/control/status"))["steps"] > after["steps"] + 20)

        await until(goes_on, "the venue goes on")


async def test_a_client_that_reads_gets_every_frame_of_many_steps() -> None:
    async with playing(markets=60) as venue:
        risk = await venue.tokens()
        async with subscribed(venue, list(risk)) as socket:
            await socket.receive_str()
            await venue.post("/control/pause")
            received = 0

            async def read() -> None:
                nonlocal received
                async for message in socket:
                    received += len(message.data)

            reading = asyncio.create_task(read())
            # Of more bytes than a client may leave unread.
            for _ in range(2):
                await venue.post("/control/step", steps=10_000)

            async def all_read() -> bool:
                return received > OUTBOX_BYTES

            await until(all_read, "more than an outbox was read")
            assert (await venue.get("/control/status"))["closed_slow"] == 0
            assert not reading.done()
            reading.cancel()


async def test_the_log_is_read_in_pages_and_says_what_it_forgot() -> None:
    async with playing(truth_s=0.5) as venue:

        async def the_first_is_forgotten() -> bool:
            async with venue.http.get(f"{venue.url}/control/truths", params={"since": 0}) as answer:
                return answer.status == 410

        await until(the_first_is_forgotten, "the first rows are forgotten")
        refused = await venue.get("/control/truths", 410, since=0)
        assert "forgotten" in refused["error"]
        await venue.post("/control/pause")
        rows, following = await venue.rows(int(refused["error"].split()[2]))
        assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
        assert rows[-1]["seq"] == following - 1
        assert (await venue.rows(following))[0] == []
        last = next(row for row in reversed(rows) if row["kind"] == "top")
        at = await venue.get("/control/truth", token=last["token"], at_ms=last["venue_ms"])
        assert at["hash"] == last["hash"]
        await venue.get("/control/truth", 404, token=last["token"], at_ms=1)
        await venue.get("/control/truth", 400, token=last["token"], at_ms="noon")
        await venue.get("/control/truth", 404, token="12")
        await venue.get("/control/truths", 400, since="x")


async def test_the_same_start_ahead_of_now_gives_the_same_bytes() -> None:
    start_ms = now_ms() + 60_000
    frames = []
    for _ in range(2):
        # Flat out it plays from the first subscription on, whatever the clock says.
        async with (
            playing(rate=0.0, seed=7, edges_a_minute=30.0, start_ms=start_ms) as venue,
            subscribed(venue, list(await venue.tokens())) as socket,
        ):
            frames.append([await socket.receive_str() for _ in range(1_500)])
    assert frames[0] == frames[1]
    assert orjson.loads(frames[0][-1])["timestamp"] > str(start_ms)


async def test_a_venue_that_began_before_has_the_edges_that_stand_by_now() -> None:
    start_ms = now_ms() - 600_000
    async with playing(rate=1.0, markets=60, edges_a_minute=30.0, start_ms=start_ms) as venue:
        await venue.post("/control/pause")
        venue_ms = (await venue.get("/control/status"))["venue_ms"]
        edges = await venue.get("/control/edges")
        assert len(edges) > 100
        for edge in edges:
            for leg in edge["legs"]:
                if edge["until_ms"] > venue_ms + 2_000:
                    book = (await venue.get("/control/truth", token=leg["token"]))["book"]
                    assert leg["price_micros"] == round(float(book["asks"][-1]["price"]) * 1e6)


async def test_a_venue_that_goes_through_a_long_past_can_be_stopped() -> None:
    stop, ready = asyncio.Event(), list[str]()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    async with asyncio.timeout(10):
        await service.run_synthetic(
            Synthetic(markets=60, rate=500, seed=1, start_ms=now_ms() - 20 * 365 * 86_400_000),
            host="127.0.0.1",
            port=0,
            stop=stop,
            on_ready=ready.append,
        )
    assert ready == []


async def test_planted_edges_are_told_and_stand_in_the_books() -> None:
    async with playing(markets=60, edges_a_minute=60.0) as venue:

        async def standing() -> list[dict[str, Any]]:
            venue_ms = (await venue.get("/control/status"))["venue_ms"]
            edges = await venue.get("/control/edges")
            return [
                one for one in edges if one["from_ms"] < venue_ms - 50 and venue_ms + 200 < one["until_ms"]
            ]

        await until(standing, "a planted edge stands")
        await venue.post("/control/pause")
        edges = await standing()
        assert edges
        for edge in edges:
            assert edge["net_micros"] > 0
            for leg in edge["legs"]:
                book = (await venue.get("/control/truth", token=leg["token"]))["book"]
                prices = [round(float(level["price"]) * 1e6) for level in book["asks"]]
                assert leg["price_micros"] == prices[-1]
