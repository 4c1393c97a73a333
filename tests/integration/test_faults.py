"""Each fault does what it says to whom it is meant for; others, REST and the truth know nothing of it."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import aiohttp
import orjson
import pytest

from marketdata.tasks import end_tasks
from marketdata.venue import MAX_FRAME_BYTES
from simulator.captured.capture import PlayedFrame, load_capture
from simulator.faults.fault import Fault
from simulator.faults.faults import Faults
from simulator.faults.schedule import random_faults
from tests.integration.fault_venue import (
    BOUND_S,
    FaultVenue,
    Message,
    PlainBook,
    faulty_venue,
    rows,
    same_levels,
)
from tests.integration.worker.rig import until

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"
SIMULATE = (sys.executable, "-m", "bookstream", "simulate", "--listen", "127.0.0.1:0")


@asynccontextmanager
async def simulating(*arguments: str) -> AsyncIterator[str]:
    """The command itself; its address."""
    process = await asyncio.create_subprocess_exec(*SIMULATE, *arguments, stdout=PIPE)
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), BOUND_S)).decode().strip()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), BOUND_S)


def named(row: Message) -> set[str]:
    """Tokens that a message is about."""
    changes = row.get("price_changes", ())
    return {one["asset_id"] for one in (row, *changes) if "asset_id" in one}


def without(frames: list[bytes], token: str) -> list[Message]:
    """The messages as they are where nothing is said of a token."""
    left = []
    for row in rows(frames):
        if "price_changes" in row:
            row["price_changes"] = [one for one in row["price_changes"] if one["asset_id"] != token]
        if row.get("price_changes", True) and row.get("asset_id") != token:
            left.append(row)
    return left


async def is_over(venue: FaultVenue, fault_id: int) -> bool:
    return bool((await venue.case(fault_id))["state"] == "over")


# -- the socket ---------------------------------------------------------------------------------------------


async def test_without_a_fault_both_hear_the_same() -> None:
    async with faulty_venue() as venue:
        faulty, honest = await venue.steps(200)
        assert faulty == honest
        assert len(honest) >= 200


async def test_drop_cuts_one_connection_without_a_close_frame() -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("drop", connection=1)
        assert await venue.faulty.closed() == (1006, "")
        await venue.make(20)
        assert len(await venue.honest.heard()) >= 20
        case = await venue.case(fault_id)
        assert (case["state"], case["acts"], case["fault"]) == (
            *("over", 1),
            {"kind": "drop", "connection": 1},
        )


async def test_drop_for_a_while_cuts_whoever_comes() -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("drop", for_s=600)
        for client in (venue.faulty, venue.honest):
            assert (await client.closed())[0] == 1006
        async with venue.client(dumped=False) as late:
            assert (await late.closed())[0] == 1006
        await venue.call("DELETE", f"/control/faults/{fault_id}")
        async with venue.client() as later:
            assert set(later.dump) == set(venue.tokens)
        case = await venue.case(fault_id)
        assert (case["state"], case["acts"]) == ("removed", 3)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1013, 4321])
async def test_close_sends_its_code_and_reason(code: int) -> None:
    async with faulty_venue() as venue:
        await venue.inject("close", connection=1, code=code, reason="maintenance")
        assert await venue.faulty.closed() == (code, "maintenance")
        assert await venue.honest.heard() == []


async def test_half_open_neither_reads_nor_writes_until_it_is_reset() -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("half-open", connection=1, for_s=600)
        await venue.faulty.socket.send_str("PING")
        await venue.make(50)
        assert len(await venue.honest.heard()) >= 50
        # Nothing came though the venue was through with the others; and nothing comes.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await venue.faulty.socket.receive()
        assert not venue.faulty.socket.closed
        assert (await venue.call("GET", "/control/status"))["connections"] == 2
        await venue.call("DELETE", f"/control/faults/{fault_id}")
        assert (await venue.faulty.closed())[0] == 1006


async def test_half_open_ends_by_itself_and_spares_the_next_connection() -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("half-open", connection="any", for_s=0.2)
        number = (await venue.case(fault_id))["fault"]["connection"]
        struck, other = (venue.faulty, venue.honest)[:: 1 if number == 1 else -1]
        assert (await struck.closed())[0] == 1006
        await until(lambda: is_over(venue, fault_id), "the fault is over")
        assert await other.heard() == []
        async with venue.client() as fresh:
            await venue.make(20)
            assert await fresh.heard()


async def test_refuse_answers_the_upgrade_with_429() -> None:
    async with faulty_venue() as venue:
        await venue.inject("refuse", count=2, retry_after_s=7)
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with venue.client():
                    pass
            assert refused.value.status == 429
            assert refused.value.headers is not None
            assert refused.value.headers["Retry-After"] == "7"
        async with venue.client() as accepted:
            assert accepted.dump
        opens = (await venue.call("GET", "/control/opens"))["opens"]
        assert [one["status"] for one in opens] == [101, 101, 429, 429, 101]
        assert [one["connection"] for one in opens] == [1, 2, 0, 0, 3]


@pytest.mark.parametrize("code", [1006, 1011, 1013])
async def test_accept_close_ends_a_connection_on_arrival(code: int) -> None:
    async with faulty_venue() as venue:
        await venue.inject("accept-close", code=code, count=2)
        for _ in range(2):
            async with venue.http.ws_connect(f"{venue.url}/ws/market") as socket:
                message = await asyncio.wait_for(socket.receive(), BOUND_S)
                # Before the client said a word.
                assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
                assert socket.close_code == code
        async with venue.client() as accepted:
            assert accepted.dump


async def test_opens_are_listed_by_time_and_client() -> None:
    async with faulty_venue() as venue:
        told = await venue.call("GET", "/control/opens")
        assert (told["total"], told["kept"]) == (2, 2)
        times = [one["ms"] for one in told["opens"]]
        assert times == sorted(times)
        assert len((await venue.call("GET", "/control/opens?client=Python"))["opens"]) == 2
        assert (await venue.call("GET", "/control/opens?client=curl"))["opens"] == []
        assert (await venue.call("GET", f"/control/opens?since_ms={times[-1] + 1}"))["opens"] == []
        await venue.call("GET", "/control/opens?since_ms=noon", status=400)


# -- silence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rescue", ["resubscribe", "reconnect", "never"])
async def test_a_stalled_connection_answers_pings_and_says_nothing(rescue: str) -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("stall", connection=1, rescue=rescue)
        faulty, honest = await venue.steps(100)
        assert (faulty, len(honest) >= 100) == ([], True)
        await venue.call("DELETE", "/control/faults")
        faulty, honest = await venue.steps(20)
        assert faulty == honest != []
        assert (await venue.case(fault_id))["acts"] >= 100


async def test_a_stalled_token_is_silent_while_its_mirror_goes_on() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        await venue.inject("stall", token=token, connection=1)
        faulty, honest = await venue.steps(300)
        assert any(token in named(row) for row in rows(honest))
        assert rows(faulty) == without(honest, token)
        mirror = next(
            one
            for one, market in venue.market_of.items()
            if market == venue.market_of[token] and one != token
        )
        assert any(named(row) == {mirror} for row in rows(faulty, "price_change"))
        # The truth and REST go on.
        book = PlainBook(token, venue.honest.dump[token])
        rest = await venue.call("GET", f"/book?token_id={token}")
        assert rest["bids"] == (await venue.truth(token))["book"]["bids"]
        assert PlainBook(token, rest).levels() != book.levels()


async def test_a_stalled_market_leaves_the_others_alone() -> None:
    async with faulty_venue() as venue:
        market = venue.market_of[await venue.busy_token()]
        await venue.inject("stall", market=market, connection=1)
        faulty, honest = await venue.steps(200)
        assert any(row["market"] == market for row in rows(honest))
        assert faulty == [frame for frame in honest if orjson.loads(frame)["market"] != market]


async def test_a_stall_that_a_new_subscription_ends() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        fault_id = await venue.inject("stall", token=token, rescue="resubscribe")
        assert not any(token in named(row) for row in rows((await venue.steps(100))[0]))
        await venue.faulty.ask("unsubscribe", token)
        await venue.faulty.ask("subscribe", token)
        (book,) = orjson.loads(await venue.faulty.text())
        assert book["asset_id"] == token
        faulty, honest = await venue.steps(200)
        assert any(token in named(row) for row in rows(faulty))
        # The other client's subscription is the old one.
        assert rows(honest) == without(faulty, token)
        assert not await is_over(venue, fault_id)
        await venue.honest.ask("unsubscribe", token)
        await venue.honest.ask("subscribe", token)
        await venue.honest.heard()
        assert await is_over(venue, fault_id)


async def test_a_stall_that_only_another_connection_ends() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        await venue.honest.ask("unsubscribe", token)
        await venue.honest.heard()
        fault_id = await venue.inject("stall", token=token, rescue="reconnect")
        await venue.faulty.ask("unsubscribe", token)
        await venue.faulty.ask("subscribe", token)
        # No book: the subscription on the same connection does not help.
        assert await venue.faulty.heard() == []
        assert not any(token in named(row) for row in rows((await venue.steps(100))[0]))
        # A connection that was there before will do, if the token was not on it.
        await venue.honest.ask("subscribe", token)
        (dump,) = await venue.honest.heard()
        assert orjson.loads(dump)[0]["asset_id"] == token
        faulty, honest = await venue.steps(200)
        assert any(token in named(row) for row in rows(honest))
        assert rows(faulty) == without(honest, token)
        await venue.faulty.socket.close()
        await until(lambda: is_over(venue, fault_id), "the stall has nobody left")


async def test_a_stall_that_nothing_ends() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        fault_id = await venue.inject("stall", token=token, rescue="never")
        for client in (venue.faulty, venue.honest):
            await client.ask("unsubscribe", token)
            await client.ask("subscribe", token)
            assert await client.heard() == []
        async with venue.client() as fresh:
            assert set(fresh.dump) == set(venue.tokens) - {token}
            await venue.make(200)
            assert not any(token in named(row) for row in rows(await fresh.heard()))
        await venue.call("DELETE", f"/control/faults/{fault_id}")
        async with venue.client(token) as fresh:
            assert set(fresh.dump) == {token}


async def test_a_stall_for_a_time_and_for_whoever_comes_first() -> None:
    faults = Faults(seed=1, schedule=[Fault(kind="stall", connection="any", for_s=600.0)])
    async with faulty_venue(faults=faults) as venue:
        (case,) = faults.active()
        assert case.fault.connection == 1
        assert (await venue.steps(50))[0] == []
        short = await venue.inject("stall", connection=2, for_s=0.05)
        await until(lambda: is_over(venue, short), "the short stall is over")
        assert (await venue.steps(50))[1] != []


async def test_withheld_first_books() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        fault_id = await venue.inject("withhold-books", token=token, count=2)
        async with venue.client() as fresh:
            assert set(fresh.dump) == set(venue.tokens) - {token}
            await venue.make(200)
            # What follows comes.
            assert any(token in named(row) for row in rows(await fresh.heard()))
        async with venue.client(token, dumped=False) as fresh:
            assert await fresh.heard() == []
        async with venue.client(token) as fresh:
            assert set(fresh.dump) == {token}
        assert (await venue.case(fault_id))["acts"] == 2


# -- the stream of messages ---------------------------------------------------------------------------------


async def test_delayed_messages_come_late_and_in_order() -> None:
    async with faulty_venue() as venue:
        await venue.inject("delay", connection=1, delay_s=0.4, for_s=600)
        clock = asyncio.get_running_loop().time
        await venue.make(50)
        made_s = clock()
        honest = await venue.honest.heard()
        first = await venue.faulty.text()
        assert clock() - made_s >= 0.2
        assert [first, *await venue.faulty.heard()] == honest


async def test_what_follows_a_delayed_message_waits_too() -> None:
    async with faulty_venue() as venue:
        fault_id = await venue.inject("delay", connection=1, delay_s=0.3, count=1)
        faulty, honest = await venue.steps(50)
        assert faulty == honest
        assert (await venue.case(fault_id))["acts"] == 1


@pytest.mark.parametrize("by", [1, 3])
async def test_reordered_messages_are_overtaken_by_others_of_their_market(by: int) -> None:
    async with faulty_venue() as venue:
        market = venue.market_of[await venue.busy_token()]
        await venue.inject("reorder", market=market, connection=1, by=by)
        faulty, honest = await venue.steps(400)
        assert Counter(faulty) == Counter(honest)
        ours, meant = (
            [frame for frame in frames if orjson.loads(frame)["market"] == market]
            for frames in (faulty, honest)
        )
        assert ours == [*meant[1 : 1 + by], meant[0], *meant[1 + by :]]
        assert [frame for frame in faulty if frame not in ours] == [
            frame for frame in honest if frame not in meant
        ]


async def test_a_reordered_message_that_nothing_overtakes_is_not_lost() -> None:
    async with faulty_venue() as venue:
        await venue.inject("reorder", connection=1, by=1_000)
        faulty, honest = await venue.steps(1)
        missing = list((Counter(honest) - Counter(faulty)).elements())
        assert missing == honest[:1]
        assert await venue.faulty.text() == missing[0]


async def test_doubled_messages() -> None:
    async with faulty_venue() as venue:
        await venue.inject("double", connection=1, count=5)
        faulty, honest = await venue.steps(100)
        assert faulty == [frame for frame in honest[:5] for _ in range(2)] + honest[5:]


async def test_lost_messages_are_lost_to_the_client_alone() -> None:
    async with faulty_venue() as venue:
        lost, meant = (
            {token: PlainBook(token, dump) for token, dump in client.dump.items()}
            for client in (venue.faulty, venue.honest)
        )
        fault_id = await venue.inject("lose", connection=1, event="price_change", share=0.5)
        faulty, honest = await venue.steps(300)
        acts = (await venue.case(fault_id))["acts"]
        missing = list((Counter(honest) - Counter(faulty)).elements())
        assert len(missing) == len(honest) - len(faulty) == acts
        assert {row["event_type"] for row in rows(missing)} == {"price_change"}
        assert 0.3 < acts / len(rows(honest, "price_change")) < 0.7
        for books, frames in ((lost, faulty), (meant, honest)):
            for frame in frames:
                for book in books.values():
                    book.read(frame)
        truths = [await venue.truth(token) for token in await venue.open_tokens()]
        assert all(same_levels(meant[truth["token"]], truth) for truth in truths)
        assert not all(same_levels(lost[truth["token"]], truth) for truth in truths)


async def test_a_message_lost_to_one_token_only() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        fault_id = await venue.inject("lose", connection=1, token=token, event="price_change", count=3)
        faulty, honest = await venue.steps(400)
        assert (await venue.case(fault_id))["acts"] == 3
        about = [
            frame for frame in honest if token in named(orjson.loads(frame)) and b"price_change" in frame
        ]
        cut = [orjson.loads(frame) for frame in faulty if frame not in honest]
        assert cut == without(about[:3], token)


# -- what messages say --------------------------------------------------------------------------------------


def differing(faulty: list[bytes], honest: list[bytes]) -> list[tuple[Message, Message]]:
    """What is said of a token, as heard and as meant, where the two differ; the rest is the same."""
    found = []
    for ours, theirs in zip(rows(faulty), rows(honest), strict=True):
        pairs = [(ours, theirs)]
        if "price_changes" in ours:
            pairs = list(zip(ours.pop("price_changes"), theirs.pop("price_changes"), strict=True))
            assert ours == theirs
        found += [(one, other) for one, other in pairs if one != other]
    return found


async def test_a_wrong_hash_in_so_many_steps_in_a_row() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        await venue.inject("wrong-hash", connection=1, token=token, count=2)
        faulty, honest = await venue.steps(500)
        found = differing(faulty, honest)
        assert {one["asset_id"] for one, _ in found} == {token}
        true = [
            said["hash"]
            for row in rows(honest)
            for said in (row, *row.get("price_changes", ()))
            if said.get("asset_id") == token and "hash" in said
        ]
        # All messages of the first two steps, and no other.
        first = list(dict.fromkeys(true))[:2]
        assert [other["hash"] for _, other in found] == [one for one in true if one in first]
        for one, other in found:
            assert len(one["hash"]) == 40
            assert {**one, "hash": ""} == {**other, "hash": ""}
        assert len({one["hash"] for one, _ in found}) == 2


async def test_wrong_best_prices() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        fault_id = await venue.inject("wrong-best", connection=1, token=token, count=1)
        faulty, honest = await venue.steps(400)
        found = differing(faulty, honest)
        assert found
        assert (await venue.case(fault_id))["acts"] == 1
        assert {one["hash"] for one, _ in found} == {found[0][0]["hash"]}
        for one, other in found:
            assert (one["best_bid"], one["best_ask"]) != (other["best_bid"], other["best_ask"])
            assert {**one, "best_bid": 0, "best_ask": 0} == {**other, "best_bid": 0, "best_ask": 0}


async def test_a_book_that_is_crossed_for_a_while() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        market = venue.market_of[token]
        async with venue.client() as client:
            books = {one: PlainBook(one, client.dump[one]) for one in venue.tokens_of(market)}
            fault_id = await venue.inject("crossed", market=market, connection=3, for_s=0.3)
            added: list[tuple[Message, list[bool]]] = []
            honest: list[bytes] = []

            async def listen() -> None:
                frames = await client.heard()
                honest.extend(await venue.honest.heard())
                for frame in frames:
                    for book in books.values():
                        book.read(frame)
                    if frame not in honest:
                        crossed = [book.best[0] > book.best[1] for book in books.values()]
                        added.append((orjson.loads(frame), crossed))

            while not added:
                await venue.make(5)
                await listen()

            async def healed() -> bool:
                await listen()
                return await is_over(venue, fault_id)

            await until(healed, "the crossing is taken back")
            await listen()
            row, crossed = added[0]
            # Both tokens' books were crossed, and what was told of their best prices was right.
            assert crossed == [True, True]
            assert [one["size"] for one in row["price_changes"]] == ["100", "100"]
            same = [one for one in rows(honest, "price_change") if one["timestamp"] == row["timestamp"]]
            assert bests(row) in map(bests, same)
            for taken_back, _ in added[1:]:
                assert {one["size"] for one in taken_back["price_changes"]} == {"0"}
            for one in books.keys() & set(await venue.open_tokens()):
                assert same_levels(books[one], await venue.truth(one))
                assert books[one].best[0] < books[one].best[1]


def bests(row: Message) -> dict[str, tuple[str, str]]:
    """Best prices that a price_change tells, by token."""
    return {one["asset_id"]: (one["best_bid"], one["best_ask"]) for one in row["price_changes"]}


async def test_a_crossing_that_is_removed_early_is_taken_back_at_once() -> None:
    async with faulty_venue() as venue:
        token = await venue.busy_token()
        async with venue.client() as client:
            book = PlainBook(token, client.dump[token])
            removed = False
            # A real level or a whole book may be quicker to take its place.
            while not removed:
                fault_id = await venue.inject(
                    "crossed", market=venue.market_of[token], connection=3, for_s=600
                )
                while (case := await venue.case(fault_id))["acts"] == 0:
                    await venue.make(1)
                if case["state"] == "active":
                    removed = True
                    await venue.call("DELETE", f"/control/faults/{fault_id}")
            frames = await client.heard()
            for frame in frames:
                book.read(frame)
            assert {one["size"] for one in orjson.loads(frames[-1])["price_changes"]} == {"0"}
            assert same_levels(book, await venue.truth(token))


@pytest.mark.parametrize(
    ("form", "garbage"),
    [
        ("json", b'{"event_type": "price_change", "market": nothing}'),
        ("unknown", b'{"event_type": "weather", "market": "0x00", "timestamp": "1"}'),
        ("text", b"INTERNAL SERVER ERROR"),
    ],
)
async def test_garbage_behind_a_message(form: str, garbage: bytes) -> None:
    async with faulty_venue() as venue:
        await venue.inject("garbage", connection=1, form=form, count=2)
        faulty, honest = await venue.steps(50)
        assert faulty == [honest[0], garbage, honest[1], garbage, *honest[2:]]


async def test_a_truncated_message() -> None:
    async with faulty_venue() as venue:
        await venue.inject("garbage", connection=1, form="truncated")
        faulty, honest = await venue.steps(50)
        assert faulty == [honest[0][: len(honest[0]) // 2], *honest[1:]]
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(faulty[0])


async def test_a_frame_that_is_no_utf8_ends_a_strict_client() -> None:
    async with faulty_venue() as venue:
        await venue.inject("garbage", connection=1, form="utf8")
        await venue.make(5)
        await venue.faulty.text()
        message = await venue.faulty.receive()
        # What the client library makes of it: RFC 6455 says 1007.
        assert message.type is aiohttp.WSMsgType.ERROR
        assert venue.faulty.socket.close_code == 1007


async def test_a_frame_above_the_largest() -> None:
    async with faulty_venue() as venue:
        await venue.inject("garbage", connection=1, form="huge")
        await venue.make(5)
        await venue.faulty.text()
        huge = await venue.faulty.text()
        assert len(huge) > MAX_FRAME_BYTES
        faulty = await venue.faulty.heard()
        assert faulty == (await venue.honest.heard())[1:]
        assert (await venue.call("GET", "/control/status"))["closed_slow"] == 0


# -- REST ---------------------------------------------------------------------------------------------------


async def test_rest_errors_spare_control_calls_and_other_paths() -> None:
    async with faulty_venue() as venue:
        await venue.inject("rest-error", status=429, retry_after_s=3, path="/books", count=1)
        token = venue.tokens[0]
        async with venue.http.post(f"{venue.url}/books", json=[{"token_id": token}]) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        assert len(await venue.call("POST", "/books", [{"token_id": token}])) == 1
        fault_id = await venue.inject("rest-error")
        await venue.call("GET", "/markets", status=503)
        await venue.call("GET", f"/book?token_id={token}", status=503)
        await venue.call("DELETE", f"/control/faults/{fault_id}")
        await venue.call("GET", "/markets")


async def test_rest_down_cuts_without_an_answer() -> None:
    async with faulty_venue() as venue:
        await venue.inject("rest-down", count=1, path="/ok")
        with pytest.raises(aiohttp.ClientConnectionError):
            # A client that would ask again by itself would not see it.
            await venue.call("POST", "/ok")
        assert await venue.call("GET", "/ok") == "OK"


async def test_rest_tells_a_shell_while_the_truth_stays() -> None:
    async with faulty_venue() as venue:
        token, other = await venue.busy_token(), venue.tokens[0]
        other = next(one for one in venue.tokens if one != token)
        before = await venue.call("GET", f"/book?token_id={token}")
        await venue.inject("rest-shell", token=token, age_s=30)
        shell = await venue.call("GET", f"/book?token_id={token}")
        assert [[level["price"] for level in shell[side]] for side in ("bids", "asks")] == [
            ["0.01"],
            ["0.99"],
        ]
        assert set(shell) == set(before)
        assert shell["hash"] != before["hash"]
        told = await venue.call("POST", "/books", [{"token_id": token}, {"token_id": other}])
        assert told[0]["bids"] == shell["bids"]
        assert told[1]["bids"] == (await venue.truth(other))["book"]["bids"]
        assert (await venue.truth(token))["book"]["bids"] == before["bids"]


# -- the doors ----------------------------------------------------------------------------------------------


async def test_wrong_faults_are_refused_and_none_of_them_begins() -> None:
    async with faulty_venue() as venue:
        for body, said in [
            ({"kind": "earthquake"}, "kinds are drop"),
            ({"kind": "drop", "form": "json"}, "drop takes no form"),
            ({"kind": "drop", "speed": 1}, "unknown key 'speed'"),
            ({"kind": "close", "code": 1005}, "cannot be sent"),
            ({"kind": "lose", "share": 2}, "share is '2'"),
            ([{"kind": "drop"}, {}], "fault 2: kind is None"),
            ([1], "fault 1: a fault is a JSON object"),
            (b"{", "not JSON"),
        ]:
            answer = await venue.call("POST", "/control/faults", body, status=400)
            assert said in answer["error"], answer
        assert (await venue.call("GET", "/control/faults"))["injected"] == 0
        assert await venue.faulty.heard() == []
        await venue.call("DELETE", "/control/faults/7", status=404)
        await venue.call("DELETE", "/control/faults/x", status=404)
        await venue.call("GET", "/control/faults/log?since=x", status=400)
        too_many = [{"kind": "lose", "at_s": 60}] * 1_001
        assert "1000" in (await venue.call("POST", "/control/faults", too_many, status=400))["error"]


async def test_several_at_once_and_at_their_time() -> None:
    async with faulty_venue() as venue:
        ids = (
            await venue.call(
                "POST",
                "/control/faults",
                [{"kind": "double", "connection": 1}, {"kind": "lose", "connection": 2, "at_s": 600}],
            )
        )["ids"]
        faulty, honest = await venue.steps(20)
        assert faulty == [honest[0], *honest]
        told = await venue.call("GET", "/control/faults")
        assert told["fault_seed"] == venue.faults.seed
        assert [(one["id"], one["state"]) for one in told["active"]] == [(ids[1], "waiting")]
        assert await venue.call("DELETE", "/control/faults") == {"removed": 1}
        log = (await venue.call("GET", "/control/faults/log"))["log"]
        assert [(one["id"], one["state"], one["acts"]) for one in log] == [
            (ids[0], "over", 1),
            (ids[1], "removed", 0),
        ]
        assert log[0]["acted_ms"] == [int(orjson.loads(honest[0])["timestamp"])]
        assert log[1]["acted_ms"] == []
        assert log[0]["ended_ms"] >= log[0]["began_ms"] > 1_600_000_000_000


async def test_recordings_have_faults_too(tmp_path: Path) -> None:
    frames = CAPTURED / "frames_20260930.jsonl"
    tokens = sorted(load_capture(frames).tokens)
    schedule = tmp_path / "faults.jsonl"
    schedule.write_text('{"kind":"double","count":3,"event":"price_change"}\n{"kind":"drop","at_s":600}\n')
    arguments = ["--capture", str(frames), "--speed", "0", "--faults", str(schedule)]
    flags = ["--fault", "garbage:form=text", "lose:event=last_trade_price,count=1", "--fault-seed", "3"]
    async with simulating(*arguments, *flags) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/control/faults") as answer:
            told = orjson.loads(await answer.read())
        assert told["fault_seed"] == 3
        async with http.ws_connect(f"{url}/ws/market") as socket:
            await socket.send_json({"assets_ids": tokens, "type": "market", "custom_feature_enabled": True})
            heard: list[bytes] = []
            meant = [step.frame.data for step in load_capture(frames).steps if isinstance(step, PlayedFrame)]
            # Three twice, one of garbage, one lost; and the empty dump.
            while len(heard) < len(meant) + 4:
                heard.append((await asyncio.wait_for(socket.receive_str(), BOUND_S)).encode())
        assert heard[0] == b"[]"
        assert (Counter(heard) - Counter(meant))[b"INTERNAL SERVER ERROR"] == 1
        assert sorted((Counter(heard) - Counter(meant)).values()) == [1] * 5
        (lost,) = (Counter(meant) - Counter(heard)).elements()
        assert orjson.loads(lost)["event_type"] == "last_trade_price"


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        ('{"kind":"drop"}\n{"kind":"dorp"}', [], "line 2: kind is 'dorp'"),
        ("", ["--fault", "drop:by=2"], "--fault is 'drop:by=2' (drop takes no by"),
        ("", [], "no fault in it"),
    ],
)
async def test_wrong_faults_end_the_command(tmp_path: Path, lines: str, flags: list[str], said: str) -> None:
    schedule = tmp_path / "faults.jsonl"
    schedule.write_text(lines)
    process = await asyncio.create_subprocess_exec(
        *(*SIMULATE, "--synthetic", "--faults", str(schedule), *flags), stdout=PIPE, stderr=PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert (process.returncode, out) == (2, b"")
    assert said in error.decode()
    assert error.count(b"\n") == 1


async def test_a_schedule_keeps_its_times() -> None:
    schedule = [Fault(kind="lose", at_s=at_s, for_s=600) for at_s in (0.4, 0.0, 0.2)]
    faults = Faults(seed=1, schedule=schedule)
    clock = asyncio.get_running_loop().time
    async with faulty_venue(faults=faults) as venue:
        began_s = clock()
        await until(lambda: faults.injected == 3, "all began")
        log = [case.row() for case in faults.log()]
        assert clock() - began_s < BOUND_S
        times = [row["began_ms"] for row in log]
        assert times[1] - times[0] >= 150
        assert times[2] - times[1] >= 150
        assert len((await venue.call("GET", "/control/faults"))["active"]) == 3


async def test_faults_by_chance_come_at_their_rate_and_in_all_kinds() -> None:
    seed = secrets.randbits(32)
    print(f"fault seed {seed}")
    async with faulty_venue() as venue:
        await venue.call("POST", "/control/resume")
        faults = venue.faults
        faults.inject_all(islice(random_faults(1_200, random.Random(seed)), 80))
        lives = 0

        async def one_life() -> None:
            nonlocal lives
            try:
                async with venue.client(dumped=False) as client:
                    lives += 1
                    async with asyncio.timeout(1):
                        while (await client.receive()).type is aiohttp.WSMsgType.TEXT:
                            pass
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.05)

        async def live() -> None:
            while True:
                await one_life()

        began_s = asyncio.get_running_loop().time()
        clients = [asyncio.create_task(live()) for _ in range(6)]
        try:
            await until(lambda: all(case.began_ms for case in faults.log()), "80 faults came", 60)
            took_s = asyncio.get_running_loop().time() - began_s
            # A machine that is slow makes them later, never sooner.
            assert took_s >= 80 / (1_200 / 60) * 0.5
            begun = [case for case in faults.log() if case.state != "waiting"]
            assert {case.fault.kind for case in begun} >= {"drop", "stall", "lose", "crossed", "rest-down"}
            assert len(begun) > 60
            assert sum(case.acts for case in begun) > 40
            assert faults.skipped == 0
            assert lives > 6
        finally:
            await end_tasks(clients)
        assert (await venue.call("GET", "/control/status"))["state"] == "playing"
