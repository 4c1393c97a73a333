"""Recorded traffic through venue, websocket, worker and Redis, held against a second reading of the recording.

The recordings are played flat out: what closes a step is the next timestamp or hash, a book, or a few quiet
milliseconds, and none of these needs the recorded pace. Playing faster can only join what arrives, never reorder
it, so the end of each step stands in the stream either way; what a quiet pause alone would close (a step whose
prices do not agree) is closed by the step behind it. Only tops in the middle of a step may differ from run to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from marketdata.market import Market
from simulator import service as simulator
from tests.acceptance.naive_reading import Told, explains, read_capture, same
from tests.integration.worker.rig import Streams, causes, until, verified, worker_settings, working
from tests.redis_server import PrivateRedis

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"
CAPTURES = sorted(CAPTURED.iterdir())


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@asynccontextmanager
async def venue(captures: Sequence[Path]) -> AsyncIterator[str]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    run = asyncio.create_task(
        simulator.run(
            host="127.0.0.1",
            port=0,
            captures=captures,
            speed=0,
            loop=False,
            stop=stop,
            on_ready=ready.set_result,
        )
    )
    await asyncio.wait({run, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    if run.done():
        run.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await asyncio.wait_for(run, 10)


async def played(server: PrivateRedis, prefix: str, captures: Sequence[Path], socket_mode: str) -> Streams:
    """Plays recordings to a worker until all frames went through it; returns its streams after its stop."""
    with server.client() as client:
        streams = Streams(client, prefix)
        async with venue(captures) as url, aiohttp.ClientSession() as http:
            settings = worker_settings(
                server.url,
                key_prefix=prefix,
                worker_id="w1",
                socket_mode=socket_mode,
                venue_ws_url=f"ws{url.removeprefix('http')}/ws/market",
                gamma_url=url,
                clob_url=url,
            )
            async with working(settings):
                status: dict[str, object] = {}

                async def all_sent() -> bool:
                    async with http.get(f"{url}/control/status") as answer:
                        status.update(orjson.loads(await answer.read()))
                    return status["state"] == "done"

                def all_received() -> bool:
                    # One frame more than the recording's: the empty dump that answers the subscription.
                    counters = streams.status("w1").get("counters", {"frames": 0})
                    return bool(counters["frames"] >= int(str(status["frames_total"])) + 1)

                await until(all_sent, "the whole recording was sent")
                await until(all_received, "the worker received it all")
        return streams


def market_of(streams: Streams, condition_id: str) -> Market:
    record = streams.client.hget(streams.keys.catalog, condition_id)
    assert record is not None, f"{condition_id} is not in the catalog"
    return Market.from_json(record)


def readings(captures: Sequence[Path]) -> dict[str, list[dict[str, list[Told]]]]:
    """By condition id, what each recording of a market tells of its tokens; "" is the market itself."""
    found: dict[str, list[dict[str, list[Told]]]] = {}
    for path in captures:
        of_market: dict[str, dict[str, list[Told]]] = {}
        for (condition_id, token), told in read_capture(path).items():
            of_market.setdefault(condition_id, {})[token] = told
        for condition_id, tokens in of_market.items():
            found.setdefault(condition_id, []).append(tokens)
    return found


def mistakes(streams: Streams, captures: Sequence[Path]) -> list[str]:
    """Where the streams differ from the naive reading."""
    wrong = []
    by_market = streams.by_market()
    expected = readings(captures)
    assert expected, "nothing was expected: the naive reading saw no message"
    assert set(expected) <= set(by_market)
    for condition_id, rows in by_market.items():
        of_market, *others = expected.get(condition_id, [{}])
        if others:
            # Two recordings of one market, played side by side: their order is nobody's.
            continue
        market = market_of(streams, condition_id)
        for outcome, token in ((0, market.tokens[0]), (1, market.tokens[1]), (None, "")):
            found = [
                (row.entry.kind, row.quote if row.entry.kind in ("top", "trade") else (row.entry.note,))
                for row in rows
                if row.entry.outcome == outcome and row.entry.kind != "gap"
            ]
            if mistake := explains(of_market.get(token, []), found):
                wrong.append(f"{condition_id} {token or 'market'}: {mistake}")
    return wrong


def hold_to_contract(streams: Streams) -> None:
    """What holds for a worker that starts, sees no fault and stops."""
    rows = streams.all_rows()
    ids = [row.id for row in rows]
    assert len(set(ids)) == len(ids), "two entries share an id"
    received = [row.entry.recv_us for row in rows]
    assert received == sorted(received), "the order of the ids is not the order of receiving"
    for condition_id, rows in streams.by_market().items():
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        ended = any(row.entry.kind == "resolved" for row in rows)
        assert causes(rows) == (["handover"] if ended else ["handover", "shutdown"]), condition_id
        assert rows[0].entry.kind == "gap"
        assert rows[-1].entry.kind == ("resolved" if ended else "gap")
        # The owner's generation, then that of its one subscription.
        assert [row.entry.gen for row in rows] == [1] + [2] * (len(rows) - 1)
        for outcome in (0, 1):
            seqs = [
                row.entry.seq
                for row in rows
                if row.entry.outcome == outcome and row.entry.kind in ("top", "trade", "tick")
            ]
            assert seqs == list(range(1, len(seqs) + 1))
        assert all(row.entry.skipped == 0 for row in rows)


@pytest.mark.parametrize("socket_mode", ["python", "native"])
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name.split(".")[0])
async def test_a_recording_stands_in_the_streams(
    server: PrivateRedis, capture: Path, socket_mode: str
) -> None:
    prefix = f"{socket_mode}/{capture.name}/"
    streams = await played(server, prefix, [capture], socket_mode)
    assert mistakes(streams, [capture]) == []
    hold_to_contract(streams)
    await verified(server.url, prefix)


async def test_the_whole_set_at_once(server: PrivateRedis) -> None:
    streams = await played(server, "all/", CAPTURES, "python")
    assert mistakes(streams, CAPTURES) == []
    hold_to_contract(streams)
    report = await verified(server.url, "all/")
    assert report.entries > 60


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name.split(".")[0])
def test_the_second_reading_notices_what_is_missing_doubled_or_changed(capture: Path) -> None:
    for told in read_capture(capture).values():
        found: list[tuple[str, tuple[str, ...]]] = []
        shown: tuple[str, ...] = ()
        for one in told:
            if one.must and (one.kind != "top" or not same(one.values, shown)):
                found.append((one.kind, one.values))
                shown = one.values if one.kind == "top" else shown
        assert explains(told, found) == ""
        for place, (kind, values) in enumerate(found):
            before, after = found[:place], found[place + 1 :]
            if (kind, values) not in (before[-1:] or after[:1]):
                assert explains(told, [*before, *after])
            assert explains(told, [*before, (kind, values), (kind, values), *after])
            assert explains(told, [*before, (kind, (values[0] + "1", *values[1:])), *after])
