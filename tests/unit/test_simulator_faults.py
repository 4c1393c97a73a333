"""Faults as data: what can be asked for, how it is read, who is meant, what is edited."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice, takewhile
from pathlib import Path
from typing import get_args

import orjson
import pytest

from marketdata.errors import FaultError
from marketdata.venue import book_hash
from simulator.faults.behaviour import Behaviour
from simulator.faults.case import Case, Stage
from simulator.faults.crossing import crossing_levels
from simulator.faults.fault import KINDS, Fault, Kind, fault_of
from simulator.faults.kinds import BEHAVIOURS
from simulator.faults.messages import crossing, edited, shifted_best, unit_micros, without
from simulator.faults.reading import read_flag, read_many, read_schedule
from simulator.faults.rest import shell
from simulator.faults.schedule import RECIPES, random_faults
from simulator.faults.whom import resolved
from simulator.feed import Frame
from simulator.venue.opens import Open, Opens

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"


class FakeLine:
    """A connection that remembers what was done to it."""

    def __init__(self, number: int, **market_of: str) -> None:
        self.number = number
        self.market_of = market_of
        self.sent: list[bytes] = []
        self.ended: list[tuple[int, str]] = []
        self.silent = False

    def queue(self, data: bytes, delay_s: float = 0.0) -> None:
        self.sent.append(data)

    def end(self, code: int, reason: str = "") -> None:
        self.ended.append((code, reason))

    def go_silent(self) -> None:
        self.silent = True


def is_done(play: Play) -> bool:
    """Asked anew: it changes with what is done to it."""
    return play.behaviour.done


class Play:
    """One fault at work on lines, with time in the test's hand."""

    def __init__(self, fault: Fault, *lines: FakeLine, seed: int = 1) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.case = Case(1, fault)
        stage = Stage(
            lambda: lines,
            lambda delay_s, call: self.calls.append((delay_s, call)),
            random.Random(seed),
            lambda: 5,
        )
        self.behaviour: Behaviour = BEHAVIOURS[fault.kind](self.case, stage)
        self.behaviour.begin()


def change(token: str, other: str, *, bid: str = "0.4", ask: str = "0.41", step: str = "h") -> bytes:
    """A price_change of market m."""
    mirror = {"best_bid": str(round(1 - float(ask), 4)), "best_ask": str(round(1 - float(bid), 4))}
    return orjson.dumps(
        {
            "market": "m",
            "price_changes": [
                {"asset_id": token, "price": "0.3", "size": "5", "side": "BUY", "hash": step}
                | {"best_bid": bid, "best_ask": ask},
                {"asset_id": other, "price": "0.7", "size": "5", "side": "SELL", "hash": step + other}
                | mirror,
            ],
            "timestamp": "1",
            "event_type": "price_change",
        }
    )


def framed(data: bytes, market: str = "m") -> Frame:
    return Frame(data, frozenset({market}))


# -- data ---------------------------------------------------------------------------------------------------


def test_every_kind_has_a_behaviour_facts_and_a_line_in_the_documentation() -> None:
    kinds = set(get_args(Kind))
    assert kinds == set(KINDS) == set(BEHAVIOURS)
    text = DOCS.read_text("utf-8")
    assert [kind for kind in sorted(kinds) if f"| `{kind}`" not in text] == []
    assert set().union(*(about.takes for about in KINDS.values())) <= set(Fault.model_fields)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", Fault(kind="drop")),
        ("stall:token=77,for_s=60,rescue=never", Fault(kind="stall", token="77", for_s=60, rescue="never")),
        ("close: code=1013 , connection=2", Fault(kind="close", code=1013, connection=2)),
        ("lose:share=0.25,event=book,market=any", Fault(kind="lose", share=0.25, event="book", market="any")),
        ("half-open:connection=any,at_s=1.5", Fault(kind="half-open", connection="any", at_s=1.5)),
    ],
)
def test_flags(text: str, fault: Fault) -> None:
    assert read_flag(text) == fault
    assert fault_of(fault.told()) == fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "kind is ''; kinds are drop, close"),
        ("stal", "kind is 'stal'"),
        ("drop:", "'' is not key=value"),
        ("drop:now", "'now' is not key=value"),
        ("drop:connection=1,connection=2", "connection is given twice"),
        ("drop:kind=lose", "kind is given twice"),
        ("drop:connection=0", "connection is '0'; allowed: a whole number from 1 up, or any"),
        ("drop:connection=some", "connection is 'some'"),
        (
            "drop:rescue=never",
            "drop takes no rescue; it takes connection, count, for_s, market, share, token",
        ),
        ("stall:count=2", "stall takes no count"),
        ("stall:rescue=prayer", "rescue is 'prayer'"),
        ("close:code=1006.5", "code is '1006.5'"),
        ("close:code=999", "code 999 cannot be sent"),
        ("close:code=1005", "code 1005 cannot be sent"),
        ("lose:share=0", "share is '0'"),
        ("lose:share=nan", "share is 'nan'"),
        ("lose:for_s=-1", "for_s is '-1'"),
        ("lose:for_s=inf", "for_s is 'inf'"),
        ("lose:at_s=-1", "at_s is '-1'"),
        ("lose:wind=1", "unknown key 'wind'"),
        ("refuse:status=200", "status is '200'"),
        ("garbage:form=pink", "form is 'pink'"),
    ],
)
def test_flags_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(FaultError) as refused:
        read_flag(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"1", b"null", b'["drop"]', b'{"kind":1}', b'{"kind":"drop","count":true}', b"\xff"]
)
def test_json_that_cannot_be_used(body: bytes) -> None:
    with pytest.raises(FaultError):
        read_many(body)


def test_a_schedule_of_lines_or_of_an_array_begins_in_the_order_of_time(tmp_path: Path) -> None:
    lines, array = tmp_path / "a.jsonl", tmp_path / "b.json"
    lines.write_text('{"kind":"lose","at_s":2}\n\n{"kind":"drop","at_s":1}\n')
    array.write_text(' [{"kind":"lose","at_s":2},{"kind":"drop","at_s":1}]')
    wanted = (Fault(kind="drop", at_s=1), Fault(kind="lose", at_s=2))
    assert read_schedule(lines) == read_schedule(array) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind":"drop"}\n\n{"kind":"dorp"}\n', "line 3: kind is 'dorp'"),
        ('{"kind":"drop"}\nnonsense\n', "line 2: not JSON"),
        ('{"kind":"drop"}\n[]\n', "line 2: a fault is a JSON object"),
        ('[{"kind":"drop"},{"kind":"drop","by":2}]', "fault 2: drop takes no by"),
        ("[", "not JSON"),
        ("", "no fault in it"),
        ("[]", "no fault in it"),
    ],
)
def test_a_schedule_says_where_it_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "faults.jsonl"
    path.write_text(text)
    with pytest.raises(FaultError) as refused:
        read_schedule(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_a_schedule_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FaultError, match="nothing was started"):
            read_schedule(path)


# -- whom ---------------------------------------------------------------------------------------------------

LINES = (FakeLine(3, a="m", b="m", c="n"), FakeLine(5), FakeLine(8, d="o"))


def test_any_is_one_that_is_there_and_fits() -> None:
    source = random.Random(4)
    seen = set()
    for _ in range(200):
        one = resolved(Fault(kind="stall", connection="any", token="any"), LINES, source)
        assert one is not None
        seen.add((one.connection, one.token))
    assert seen == {(3, "a"), (3, "b"), (3, "c"), (8, "d")}
    near = resolved(Fault(kind="stall", connection=8, market="any"), LINES, source)
    assert near is not None
    assert (near.connection, near.market, near.token) == (8, "o", None)
    token = resolved(Fault(kind="stall", market="n", token="any"), LINES, source)
    assert token is not None
    assert token.token == "c"


def test_any_waits_where_nobody_is_meant() -> None:
    source = random.Random(4)
    assert resolved(Fault(kind="drop", connection="any"), (), source) is None
    assert resolved(Fault(kind="drop", connection="any"), LINES[1:2], source) is None
    assert resolved(Fault(kind="drop", connection=5, token="any"), LINES, source) is None
    plain = Fault(kind="drop", connection=77)
    assert resolved(plain, (), source) is plain


def test_share_and_count() -> None:
    source = random.Random(9)
    half = Case(1, Fault(kind="lose", share=0.5))
    assert 400 < sum(half.takes(source) for _ in range(1_000)) < 600
    assert half.acts > 400
    three = Case(2, Fault(kind="lose", count=3))
    assert [three.takes(source) for _ in range(5)] == [True, True, True, False, False]
    # One act where nobody says how many; a length of time says it.
    assert Fault(kind="lose").most == Fault(kind="crossed", for_s=2).most == 1
    assert Fault(kind="lose", for_s=2).most is Fault(kind="stall").most is Fault(kind="delay").most is None


# -- edits --------------------------------------------------------------------------------------------------


def test_what_is_not_edited_keeps_its_bytes() -> None:
    data = b'{ "asset_id" : "a" }'
    assert edited(data, lambda message: message) is data
    assert edited(b"PONG", lambda message: None) == b"PONG"
    assert edited(b"[1]", lambda message: None) == b"[1]"
    assert edited(data, lambda message: None) is None
    assert (
        edited(b"[" + data + b',{"x":1}]', lambda one: None if "x" in one else one) == b'[{"asset_id":"a"}]'
    )


def test_without_a_token() -> None:
    row = orjson.loads(change("a", "b"))
    left = without(row, lambda token: token == "a")
    assert left is not None
    assert [one["asset_id"] for one in left["price_changes"]] == ["b"]
    assert without(row, lambda token: True) is None
    assert without(row, lambda token: False) is row
    assert without({"asset_id": "a"}, lambda token: token == "a") is None


@pytest.mark.parametrize(
    ("price", "unit"), [("0.5", 10_000), ("0.51", 10_000), ("0.031", 1_000), ("1", 10_000), ("0.0025", 100)]
)
def test_the_unit_of_a_price(price: str, unit: int) -> None:
    assert unit_micros(price) == unit


@pytest.mark.parametrize(
    ("bid", "ask", "level"),
    [
        ("0.4", "0.41", ("BUY", "0.42")),
        ("0.039", "0.04", ("BUY", "0.05")),
        ("0.98", "0.99", ("SELL", "0.97")),
        ("0.4", "1", ("SELL", "0.39")),
        ("0", "0.01", ("BUY", "0.02")),
        ("0", "1", None),
        ("0.01", "0.99", None),
    ],
)
def test_a_level_that_crosses(bid: str, ask: str, level: tuple[str, str] | None) -> None:
    assert crossing({"best_bid": bid, "best_ask": ask}) == level


def test_a_crossing_has_its_mirror() -> None:
    row = orjson.loads(change("a", "b"))
    assert crossing_levels(row, None) == {("a", "BUY", "0.42"), ("b", "SELL", "0.58")}
    assert crossing_levels(row, "b") == {("b", "BUY", "0.61"), ("a", "SELL", "0.39")}
    assert crossing_levels({"event_type": "book"}, None) == set()


def test_shifted_best_prices() -> None:
    assert shifted_best({"best_bid": "0.4", "best_ask": "0.41"})["best_bid"] == "0.39"
    assert shifted_best({"best_bid": "0", "best_ask": "0.41"})["best_ask"] == "0.42"
    nothing = {"best_bid": "0", "best_ask": "1"}
    assert shifted_best(nothing) is nothing


def test_the_hash_of_a_shell_is_its_own() -> None:
    told = shell(
        {"market": "m", "asset_id": "a", "hash": "x", "bids": [], "asks": [], "tick_size": "0.001"}, 7
    )
    assert (told["bids"], told["asks"]) == (
        [{"price": "0.01", "size": "100"}],
        [{"price": "0.99", "size": "100"}],
    )
    assert told["hash"] == book_hash(
        market="m",
        asset_id="a",
        timestamp="7",
        bids=[("0.01", "100")],
        asks=[("0.99", "100")],
        tick_size="0.001",
    )


# -- behaviours ---------------------------------------------------------------------------------------------


def test_a_stall_by_rescue_tells_old_subscriptions_from_new_ones() -> None:
    old = FakeLine(1, a="m", b="m")
    play = Play(Fault(kind="stall", token="a", rescue="resubscribe"), old)
    (left,) = play.behaviour.passes(old, framed(change("a", "b")), change("a", "b"))
    assert [one["asset_id"] for one in orjson.loads(left)["price_changes"]] == ["b"]
    play.behaviour.subscribed(old, ("a",))
    assert play.behaviour.done
    moved = FakeLine(2, a="m")
    again = Play(Fault(kind="stall", token="a", rescue="reconnect"), old)
    again.behaviour.subscribed(old, ("a",))
    assert not again.behaviour.shows(old, "a")
    assert again.behaviour.shows(moved, "a")
    again.behaviour.gone(old)
    assert again.behaviour.done


def test_a_drop_waits_for_somebody_and_hits_so_many() -> None:
    play = Play(Fault(kind="drop"))
    assert not is_done(play)
    first, second = FakeLine(1, a="m"), FakeLine(2, b="m")
    play.behaviour.subscribed(first, ("a",))
    play.behaviour.subscribed(second, ("b",))
    assert (first.ended, second.ended, play.behaviour.done) == ([(1006, "")], [], True)
    three = [FakeLine(number, a="m") for number in (1, 2, 3)]
    two = Play(Fault(kind="drop", count=2), *three)
    assert [len(line.ended) for line in three] == [1, 1, 0]
    assert two.behaviour.done


def test_a_half_open_connection_is_cut_in_the_end_or_when_the_fault_is_removed() -> None:
    line = FakeLine(1, a="m")
    play = Play(Fault(kind="half-open", for_s=9), line)
    assert (line.silent, line.ended, play.behaviour.done) == (True, [], False)
    ((delay_s, cut),) = play.calls
    assert delay_s == 9
    cut()
    assert line.ended == [(1006, "")]
    play.behaviour.gone(line)
    assert is_done(play)
    other = FakeLine(2, a="m")
    Play(Fault(kind="half-open"), other).behaviour.end()
    assert other.ended == [(1006, "")]


def test_a_wrong_hash_is_the_same_in_all_messages_of_a_step_and_to_all() -> None:
    one, two = FakeLine(1, a="m", b="m"), FakeLine(2, a="m", b="m")
    play = Play(Fault(kind="wrong-hash", token="a", count=1), one, two)

    def heard(line: FakeLine, step: str) -> str:
        data = change("a", "b", step=step)
        (left,) = play.behaviour.passes(line, framed(data), data)
        return str(orjson.loads(left)["price_changes"][0]["hash"])

    wrong = heard(one, "h1")
    assert wrong != "h1"
    assert heard(two, "h1") == heard(one, "h1") == wrong
    assert not is_done(play)
    assert heard(one, "h2") == "h2"
    assert play.behaviour.done
    acts: int = play.case.acts
    assert acts == 1


def test_a_crossing_ends_where_a_real_level_takes_its_place() -> None:
    line = FakeLine(1, a="m", b="m")
    play = Play(Fault(kind="crossed", market="m"), line)
    data = change("a", "b")
    _, phantom = play.behaviour.passes(line, framed(data), data)
    levels = {(one["asset_id"], one["side"], one["price"]) for one in orjson.loads(phantom)["price_changes"]}
    assert levels == {("a", "BUY", "0.42"), ("b", "SELL", "0.58")}
    real = orjson.loads(change("a", "b", bid="0.42", ask="0.43"))
    for entry, price in zip(real["price_changes"], ("0.42", "0.58"), strict=True):
        entry["price"] = price
    assert play.behaviour.passes(line, framed(data), orjson.dumps(real)) == [orjson.dumps(real)]
    assert play.behaviour.done
    ((_, take_back),) = play.calls
    take_back()
    assert line.sent == []


def test_a_crossing_of_which_a_whole_book_came_takes_back_the_rest() -> None:
    line = FakeLine(1, a="m", b="m")
    play = Play(Fault(kind="crossed", market="m", for_s=2), line)
    data = change("a", "b")
    play.behaviour.passes(line, framed(data), data)
    book = orjson.dumps({"event_type": "book", "market": "m", "asset_id": "a", "bids": [], "asks": []})
    play.behaviour.passes(line, framed(book), book)
    ((delay_s, take_back),) = play.calls
    assert delay_s == 2
    take_back()
    (sent,) = line.sent
    (entry,) = orjson.loads(sent)["price_changes"]
    assert (entry["asset_id"], entry["size"], entry["price"]) == ("b", "0", "0.58")
    assert play.behaviour.done


def test_a_reordered_message_is_not_sent_to_a_connection_that_is_gone() -> None:
    line = FakeLine(1, a="m")
    play = Play(Fault(kind="reorder"), line)
    assert play.behaviour.passes(line, framed(b"1"), b"1") == []
    play.behaviour.gone(line)
    ((_, release),) = play.calls
    release()
    assert line.sent == []
    assert play.behaviour.done


ODD = (
    b"",
    b"PONG",
    b"[]",
    b"[1]",
    b"null",
    b"\xff\xfe",
    b'{"price_changes":null}',
    b'{"price_changes":[]}',
    b'{"price_changes":["a"],"market":"m"}',
    b'{"price_changes":[{"price":"x"}],"market":7}',
    b'{"price_changes":[{"asset_id":"a","hash":"h","best_bid":"much","best_ask":null}],"market":"m"}',
    b'{"price_changes":[{"asset_id":"a","hash":"h","best_bid":"0.4","best_ask":"0.5"}],"market":"m"}',
    b'{"asset_id":["a"],"hash":1}',
    b'{"asset_id":"a","hash":"h","event_type":"book"}',
    b'[{"asset_id":"a","hash":"h"},{"market":"m"}]',
)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("whom", [{}, {"token": "a"}, {"market": "m"}])
def test_no_frame_of_a_recording_is_too_odd(kind: Kind, whom: dict[str, str]) -> None:
    if not set(whom) <= KINDS[kind].takes:
        whom = {}
    line = FakeLine(1, a="m", b="m")
    play = Play(fault_of({"kind": kind, **whom}), line)
    for data in ODD * 2:
        for left in play.behaviour.passes(line, framed(data), data):
            assert isinstance(left, bytes)
        play.behaviour.delay_s(line, framed(data))
    for _, call in play.calls:
        call()
    play.behaviour.end()


# -- by chance ----------------------------------------------------------------------------------------------


def test_faults_by_chance_keep_their_rate_and_leave_out_no_kind() -> None:
    faults = list(takewhile(lambda one: one.at_s < 1_800, random_faults(17, random.Random(3))))
    assert 480 < len(faults) < 540
    assert [one.at_s for one in faults] == sorted(one.at_s for one in faults)
    assert {one.kind for one in faults[: len(RECIPES)]} == set(get_args(Kind))
    # None of them lasts for ever.
    at_once = ("drop", "close")
    assert all(one.kind in at_once or one.for_s is not None or one.most is not None for one in faults)
    again = list(islice(random_faults(17, random.Random(3)), 50))
    assert again == faults[:50]
    assert list(random_faults(0, random.Random(3))) == []
    later = [one.at_s for one in islice(random_faults(0.1, random.Random(3)), 200)]
    assert later[-1] > 100_000
    assert len(set(later)) == len(later)


# -- opens --------------------------------------------------------------------------------------------------


def test_opens_forget_the_oldest_and_count_all() -> None:
    opens = Opens(kept=2)
    for number in range(1, 4):
        opens.note(Open(number * 10, f"client/{number}", number, 101))
    told = opens.told()
    assert (told["total"], told["kept"], [one["ms"] for one in told["opens"]]) == (3, 2, [20, 30])
    assert [one["connection"] for one in opens.told(since_ms=30)["opens"]] == [3]
    assert [one["connection"] for one in opens.told(client="client/2")["opens"]] == [2]
