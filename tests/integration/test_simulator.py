"""The simulated venue over real loopback sockets: what a worker would see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketdata.errors import CaptureError, SettingsError
from marketdata.venue import book_hash
from simulator import service
from simulator.captured.capture import PlayedFrame, load_capture
from simulator.feed import Audience, Frame
from simulator.venue.server import VenueServer

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"
FRAMES = CAPTURED / "frames_20260930.jsonl"
MIXED = CAPTURED / "may2026_mixed_trimmed.jsonl"
BOUND_S = 10.0

YES = "58726851105893121441976415044785550794620582864839872973127370351200548678811"
NO = "40113202025193181740822500498877260546965498642740503547096491847887927548587"


@dataclass
class Venue:
    """A running simulator and a client for its REST side."""

    url: str
    http: aiohttp.ClientSession

    @asynccontextmanager
    async def client(
        self, *tokens: str, custom: bool = False, max_queue: int | None = None
    ) -> AsyncIterator[ClientConnection]:
        async with self.socket(max_queue) as socket:
            await socket.send(text(assets_ids=tokens, type="market", custom_feature_enabled=custom))
            yield socket

    def socket(self, max_queue: int | None = None) -> connect:
        return connect(
            f"ws{self.url.removeprefix('http')}/ws/market",
            ping_interval=None,
            max_size=None,
            max_queue=max_queue,
        )

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.http.get(f"{self.url}{path}", params=query) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        async with self.http.post(f"{self.url}{path}", data=orjson.dumps(body)) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def until_status(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Asks for the status until it is as wanted; the time bound ends it otherwise."""
        async with asyncio.timeout(BOUND_S):
            while True:
                status: dict[str, Any] = (await self.get("/control/status"))[1]
                if holds(status):
                    return status
                await asyncio.sleep(0.005)


@asynccontextmanager
async def playing(*captures: Path, speed: float = 0, loop: bool = False) -> AsyncIterator[Venue]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    run = asyncio.create_task(
        service.run(
            host="127.0.0.1",
            port=0,
            captures=captures,
            speed=speed,
            loop=loop,
            stop=stop,
            on_ready=ready.set_result,
        )
    )
    await asyncio.wait({run, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND_S)
    if run.done():
        run.result()
    try:
        async with aiohttp.ClientSession() as http:
            yield Venue(ready.result(), http)
    finally:
        stop.set()
        await asyncio.wait_for(run, BOUND_S)


def text(**request: object) -> str:
    return orjson.dumps(request).decode()


async def receive(socket: ClientConnection) -> bytes:
    return await asyncio.wait_for(socket.recv(decode=False), BOUND_S)


async def close_code(socket: ClientConnection) -> tuple[int | None, str]:
    """Reads until the end of the connection; its close code and reason."""
    try:
        while True:
            await receive(socket)
    except ConnectionClosed:
        return socket.close_code, socket.close_reason or ""


def recorded(path: Path) -> list[bytes]:
    return [step.frame.data for step in load_capture(path).steps if isinstance(step, PlayedFrame)]


async def test_frames_arrive_byte_for_byte() -> None:
    async with playing(FRAMES) as venue, venue.client(YES, NO) as socket:
        assert await receive(socket) == b"[]"
        assert [await receive(socket) for _ in range(26)] == recorded(FRAMES)
        status = await venue.until_status(lambda now: now["state"] == "done")
        assert (status["frames_sent"], status["frames_total"]) == (26, 26)


async def test_one_token_brings_the_frames_of_its_market() -> None:
    async with playing(FRAMES) as venue, venue.client(YES) as socket, venue.client(NO) as other:
        assert await receive(socket) == await receive(other) == b"[]"
        for frame in recorded(FRAMES):
            assert await receive(socket) == frame
            assert await receive(other) == frame


async def test_play_waits_for_all_tokens() -> None:
    async with playing(FRAMES) as venue, venue.client(YES) as socket:
        assert await receive(socket) == b"[]"
        assert (await venue.get("/control/status"))[1]["state"] == "waiting"
        assert await venue.get("/book", token_id=YES) == (
            404,
            {"error": "No orderbook exists for the requested token id"},
        )
        async with venue.client(NO):
            assert await receive(socket) == recorded(FRAMES)[0]


async def test_play_begins_two_seconds_after_the_first_subscription() -> None:
    async with playing(FRAMES) as venue:
        began_s = asyncio.get_running_loop().time()
        async with venue.client(YES) as socket:
            assert await receive(socket) == b"[]"
            assert await receive(socket) == recorded(FRAMES)[0]
            assert asyncio.get_running_loop().time() - began_s >= 2


async def test_late_subscriber_gets_the_book_and_its_hash_verifies() -> None:
    async with playing(FRAMES) as venue:
        async with venue.client(YES, NO):
            await venue.until_status(lambda now: now["state"] == "done")
        async with venue.client(NO, "1", YES) as late:
            dump = await receive(late)
        assert dump.endswith(b"}]\n")
        assert b'": ' not in dump
        market = (await venue.get("/markets"))[1][0]
        for book, token_id in zip(orjson.loads(dump), (NO, YES), strict=True):
            status, rest = await venue.get("/book", token_id=token_id)
            assert status == 200
            assert (book["asset_id"], book["event_type"]) == (token_id, "book")
            assert [rest[key] for key in ("bids", "asks", "hash")] == [
                book[key] for key in ("bids", "asks", "hash")
            ]
            assert book["hash"] == book_hash(
                market=book["market"],
                asset_id=token_id,
                timestamp=book["timestamp"],
                bids=[(level["price"], level["size"]) for level in book["bids"]],
                asks=[(level["price"], level["size"]) for level in book["asks"]],
                min_order_size=str(market["orderMinSize"]),
                tick_size=book["tick_size"],
                neg_risk=market["negRisk"],
                last_trade_price=book["last_trade_price"],
            )


async def test_a_book_comes_anew_after_unsubscribing() -> None:
    async with playing(FRAMES) as venue, venue.client(YES, NO) as socket:
        await venue.until_status(lambda now: now["state"] == "done")
        for _ in range(27):
            await receive(socket)
        await socket.send(text(operation="unsubscribe", assets_ids=[YES]))
        await socket.send(text(operation="subscribe", assets_ids=[YES]))
        (book,) = orjson.loads(await receive(socket))
        assert book["asset_id"] == YES


async def test_answers_of_the_protocol() -> None:
    async with playing(FRAMES) as venue, venue.client("unknown") as socket:
        assert await receive(socket) == b"[]"
        for sent, answer in [
            ("PING", b"PONG"),
            (text(type="market", assets_ids=[YES]), b"INVALID OPERATION"),
            (text(operation="subscribe", assets_ids=[]), b"INVALID OPERATION"),
            (text(operation="subscribe"), b"INVALID OPERATION"),
            (text(operation="subscribe", assets_ids=["unknown"]), b"NO NEW ASSETS"),
            (text(operation="subscribe", assets_ids=["unknown", "too"]), b"[]"),
        ]:
            await socket.send(sent)
            assert await receive(socket) == answer


@pytest.mark.parametrize("first", ["PING", "hello", '{"operation":"subscribe","assets_ids":["1"]}'])
async def test_anything_before_the_first_subscription_is_closed_with_1008(first: str) -> None:
    async with playing(FRAMES) as venue, venue.socket() as socket:
        await socket.send(first)
        assert await close_code(socket) == (1008, "invalid subscription payload")


async def test_frame_with_thousands_of_ids_is_cut() -> None:
    async with playing(FRAMES) as venue, venue.client(*(str(number) for number in range(3000))) as socket:
        assert (await close_code(socket))[0] == 1006


async def test_custom_events_go_only_where_they_were_asked_for() -> None:
    tokens = load_capture(MIXED).tokens
    one_a_market = [pair[0] for pair in load_capture(MIXED).pairs.values()]
    plain_kinds: list[bytes] = []
    custom_kinds: list[bytes] = []
    async with (
        playing(MIXED) as venue,
        venue.client(custom=True) as discovery,
        venue.client(*one_a_market) as plain,
        venue.client(*tokens, custom=True) as custom,
    ):
        await venue.until_status(lambda now: now["state"] == "done")
        for socket, kinds in ((plain, plain_kinds), (custom, custom_kinds)):
            assert await receive(socket) == b"[]"
            await socket.send("PING")
            while (frame := await receive(socket)) != b"PONG":
                kinds.append(frame)
        assert custom_kinds == recorded(MIXED)
        custom_only = (b"new_market", b"market_resolved", b"best_bid_ask")
        assert plain_kinds == [
            frame for frame in recorded(MIXED) if not any(kind in frame for kind in custom_only)
        ]
        heard = []
        await discovery.send("PING")
        while (frame := await receive(discovery)) != b"PONG":
            heard.append(orjson.loads(frame).get("event_type"))
        assert heard == [None, None, "new_market", "market_resolved"]


async def test_resolved_market_is_closed_in_gamma_and_has_no_dump() -> None:
    market = "0x311d0c4b6671ab54af4970c06fcf58662516f5168997bdda209ec3db5aa6b0c1"
    async with playing(MIXED) as venue:
        before = (await venue.get("/markets", condition_ids=market))[1][0]
        assert (before["closed"], before["acceptingOrders"], before["outcomePrices"]) == (
            *(False, True),
            '["0.5","0.5"]',
        )
        async with venue.client(*load_capture(MIXED).tokens):
            await venue.until_status(lambda now: now["state"] == "done")
        after = (await venue.get("/markets", condition_ids=market))[1][0]
        assert (after["closed"], after["acceptingOrders"], after["outcomePrices"]) == (
            *(True, False),
            '["1","0"]',
        )
        async with venue.client(*orjson.loads(after["clobTokenIds"])) as socket:
            assert await receive(socket) == b"[]"


async def test_loop_plays_again() -> None:
    async with playing(FRAMES, loop=True) as venue, venue.client(YES, NO) as socket:
        assert await receive(socket) == b"[]"
        assert [await receive(socket) for _ in range(52)] == recorded(FRAMES) * 2
        status = await venue.until_status(lambda now: now["frames_sent"] >= 52)
        assert status["state"] == "playing"


async def test_several_recordings_play_together() -> None:
    other = CAPTURED / "updown_20260508_array_book_then_price_change.jsonl"
    tokens = load_capture(other).tokens
    async with playing(FRAMES, other) as venue, venue.client(YES, NO, *tokens) as socket:
        assert await receive(socket) == b"[]"
        got = [await receive(socket) for _ in range(28)]
        assert [frame for frame in got if frame in recorded(FRAMES)] == recorded(FRAMES)
        assert [frame for frame in got if frame in recorded(other)] == recorded(other)


async def test_rest_calls_of_a_worker() -> None:
    async with playing(FRAMES, CAPTURED / "protocol_v2_session_20261005.jsonl") as venue:
        assert await venue.get("/ok") == (200, "OK")
        events = (await venue.get("/events", closed="false"))[1]
        assert len(events) == 3
        first = (await venue.get("/events/keyset", limit="2"))[1]
        rest = (await venue.get("/events/keyset", limit="2", after_cursor=first["next_cursor"]))[1]
        assert first["events"] + rest["events"] == events
        assert "next_cursor" not in rest
        assert len((await venue.get("/markets/keyset"))[1]["markets"]) == 3
        assert (await venue.get("/events/keyset", offset="1"))[0] == 422
        event = events[0]
        assert await venue.get(f"/events/{event['id']}") == (200, event)
        assert await venue.get(f"/events/slug/{event['slug']}") == (200, event)
        assert (await venue.get("/events/slug/none"))[0] == 404
        assert (await venue.get("/events", slug="none")) == (200, [])
        market = event["markets"][0]
        assert (await venue.get(f"/markets/{market['id']}"))[1]["conditionId"] == market["conditionId"]
        clob = (await venue.get(f"/markets/{market['conditionId']}"))[1]
        assert [token["token_id"] for token in clob["tokens"]] == [YES, NO]
        assert (await venue.get("/markets/0x00"))[0] == 404
        assert await venue.get("/fee-rate", token_id=YES) == (200, {"base_fee": 0})
        assert (await venue.get("/fee-rate", token_id="1"))[0] == 404
        assert await venue.get("/tick-size", token_id=YES) == (200, {"minimum_tick_size": 0.01})
        assert (await venue.get("/book"))[0] == 400
        assert await venue.post("/books", [{"token_id": YES}]) == (200, [])
        assert (await venue.post("/books", {"token_id": YES}))[0] == 400
        v2 = "663574927012476832975694178961957910328055987427402067619466963999000625152"
        async with venue.client(YES, NO, v2):
            await venue.until_status(lambda now: now["frames_sent"] == now["frames_total"])
        books = (await venue.post("/books", [{"token_id": NO}, {"token_id": "1"}, {"token_id": v2}]))[1]
        assert [book["asset_id"] for book in books] == [NO, v2]
        assert [book["min_order_size"] for book in books] == ["5", "5"]


@pytest.mark.parametrize(("body", "code"), [(b"", 1006), (b'{"code":1006}', 1006), (b'{"code":1001}', 1001)])
async def test_drop_closes_every_connection_and_play_goes_on(body: bytes, code: int) -> None:
    async with playing(FRAMES) as venue:
        async with venue.client(YES, NO) as one, venue.client(YES) as other:
            await receive(one)
            await receive(other)
            async with venue.http.post(f"{venue.url}/control/drop", data=body) as answer:
                assert orjson.loads(await answer.read()) == {"closed": 2, "code": code}
            assert [(await close_code(one))[0], (await close_code(other))[0]] == [code, code]
        await venue.until_status(lambda now: now["connections"] == 0 and now["tokens_watched"] == 0)
        await venue.until_status(lambda now: now["state"] == "done")
        async with venue.client(YES) as again:
            assert orjson.loads(await receive(again))[0]["asset_id"] == YES


async def test_drop_refuses_what_is_no_close_code() -> None:
    async with playing(FRAMES) as venue:
        refused: list[object] = [{"code": 1005}, {"code": "x"}, [], {"code": 12}]
        for body in refused:
            assert (await venue.post("/control/drop", body))[0] == 400


class Flood:
    """A feed that sends large frames of one market until it is told to stop, waiting for readers or not."""

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self.sent = 0

    def events(self) -> Sequence[Mapping[str, Any]]:
        return []

    def market_of(self, token_id: str) -> str | None:
        return "m"

    def socket_book(self, token_id: str) -> bytes | None:
        return None

    def rest_book(self, token_id: str) -> bytes | None:
        return None

    def status(self) -> Mapping[str, object]:
        return {"sent": self.sent}

    async def play(self, audience: Audience) -> None:
        await audience.until(lambda: audience.accepted == 2)
        while True:
            audience.publish(Frame(b"%08d" % self.sent + b"x" * 100_000, frozenset({"m"})))
            self.sent += 1
            await (audience.room() if self._waits else asyncio.sleep(0.001))


@pytest.mark.parametrize("waits", [False, True], ids=["in its own time", "flat out"])
async def test_client_that_does_not_read_is_cut_and_others_get_everything(waits: bool) -> None:
    feed = Flood(waits=waits)
    server = VenueServer(feed, outbox_bytes=4_000_000, stuck_s=0.3)
    async with server.listening("127.0.0.1", 0) as url, aiohttp.ClientSession() as http:
        venue = Venue(url, http)
        play = asyncio.create_task(feed.play(server.hub))
        async with venue.client("1") as reader, venue.client("2", max_queue=1) as idle:
            assert await receive(reader) == b"[]"
            async with asyncio.timeout(BOUND_S):
                number = 0
                while server.hub.closed_slow == 0 or number < feed.sent - 1:
                    assert int((await receive(reader))[:8]) == number
                    number += 1
                    if server.hub.closed_slow:
                        play.cancel()
            status = await venue.until_status(lambda now: now["connections"] == 1)
            assert status["closed_slow"] == 1
            assert (await close_code(idle))[0] == 1006
        await asyncio.gather(play, return_exceptions=True)


async def test_stop_does_not_wait_for_a_client_that_does_not_read() -> None:
    feed = Flood(waits=False)
    server = VenueServer(feed, outbox_bytes=1_000_000_000)
    async with asyncio.timeout(BOUND_S):
        async with server.listening("127.0.0.1", 0) as url, aiohttp.ClientSession() as http:
            venue = Venue(url, http)
            one = await venue.socket(max_queue=1)
            other = await venue.socket(max_queue=1)
            for socket in (one, other):
                await socket.send(text(assets_ids=["1"], type="market"))
            play = asyncio.create_task(feed.play(server.hub))
            await venue.until_status(lambda now: now["sent"] >= 300)
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)
        assert server.hub.connections == 0
    for socket in (one, other):
        assert (await close_code(socket))[0] == 1006


async def test_stop_closes_clients_with_1001() -> None:
    async with playing(FRAMES) as venue:
        socket = await venue.socket()
        await socket.send(text(assets_ids=[YES], type="market"))
        assert await receive(socket) == b"[]"
    assert (await close_code(socket))[0] == 1001


async def test_nothing_is_served_where_it_cannot_be(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"event_type":"x"}\n{"cut\n')
    with pytest.raises(CaptureError, match=r"bad\.jsonl:2: not JSON"):
        async with playing(bad):
            pytest.fail("a malformed recording was served")
    with pytest.raises(SettingsError, match="--capture"):
        async with playing():
            pytest.fail("nothing was served")
    for speed in (-1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="speed"):
            async with playing(FRAMES, speed=speed):
                pytest.fail(f"speed {speed} was accepted")
    async with playing(FRAMES) as venue:
        port = int(venue.url.rsplit(":", 1)[1])
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
            await service.run(
                host="127.0.0.1",
                port=port,
                captures=[FRAMES],
                speed=1,
                loop=False,
                stop=asyncio.Event(),
                on_ready=lambda url: pytest.fail(f"two servers listen on {url}"),
            )
