"""A made-up Redis for tests of the dashboard: fixed readings of three workers, markets and odd questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from consumers.dashboard.found import Found, parse_found
from consumers.dashboard.markets import MarketLine, parse_market
from consumers.dashboard.members import GroupLine, LetterLine, Place, group_lines, parse_member
from consumers.dashboard.pages.cells import Look
from consumers.dashboard.pages.glyphs import ASCII, UNICODE
from consumers.dashboard.quotes import Seen
from consumers.dashboard.reading import EngineWord, Page, Reading, Server
from consumers.dashboard.records import WorkerRecord
from consumers.dashboard.state import State
from marketdata.entries import Entry, EntryId, gap_note
from tests.stream_writer import FIRST_MS, demo_markets

NOW_MS = FIRST_MS + 3_600_000
PARTITIONS = 64
SERVER = Server(345_600_000, 1_073_741_824, True, "", "redis 7.4.1")

ODD_QUESTIONS = (
    "Wird Köln 2027 Meister? 東京で雨が降りますか？ 서울에 눈이 올까요?",
    "هل ستمطر غدا في القاهرة؟ האם ירד גשם מחר",
    "Will 👨‍👩‍👧 beat 🇺🇸 ❤️ before 👍🏽?",
    "\x1b[31mred\x1b[0m\r\n\x00\u202eevil\u202c [bold]x[/]",
    "ก" * 20 + "नमस्ते दुनिया, क्या कल बारिश होगी?" + "x" * 300,
)


def lines() -> dict[str, MarketLine]:
    """Twelve synthetic markets, of which the last five have odd questions."""
    records = list(demo_markets())
    for at, question in enumerate(ODD_QUESTIONS, len(records) - len(ODD_QUESTIONS)):
        records[at] = replace(records[at], question=question)
    parsed = (parse_market(one.to_json()) for one in records)
    return {one.condition_id: one for one in parsed if one is not None}


def connection(name: str = "c0", **given: Any) -> dict[str, Any]:
    """One connection of a record."""
    plain: dict[str, Any] = {
        "name": name,
        "state": "live",
        "generation": 3,
        "tokens": 50,
        "live": 50,
        "waiting": 0,
        "unlisted": 0,
        "stale": 0,
        "quarantined": 0,
        "frames": 40_000,
        "last_frame_ms": NOW_MS - 200,
        "last_data_ms": NOW_MS - 300,
        "pong_ms": 12.5,
        "pong_awaited_ms": 0,
        "opens": 1,
        "last_close": "",
        "rescues": {"resubscribe": 0, "move": 0, "slow": 0},
    }
    return plain | given


def record(worker: str = "alpha-1", **given: Any) -> dict[str, Any]:
    """What a worker writes once a second; a key that is given as `...` is absent, as of an older worker."""
    plain: dict[str, Any] = {
        "worker": worker,
        "pid": 11,
        "host": "here",
        "started_ms": FIRST_MS,
        "now_ms": NOW_MS,
        "state": "running",
        "waits_for": "",
        "partitions": PARTITIONS,
        "partitions_total": PARTITIONS,
        "connections": [connection("c0"), connection("c1", opens=3, last_close="1006 no close frame")],
        "markets": 50,
        "tokens": 100,
        "tokens_live": 100,
        "tokens_waiting": 0,
        "tokens_unlisted": 0,
        "tokens_stale": 0,
        "tokens_quarantined": 0,
        "counters": {"entries": 12_345, "gaps": 0, "updates": 10_000},
        "gaps_by_cause": {},
        "gaps_last_minute": 0,
        "loading": False,
        "received": {"silent_s": 0, "seconds": 60, "busy_seconds": 60, "messages": 7_200},
        "latency_ms": {"p50": 0.42, "p99": 1.26},
        "pending": 0,
        "redis": "connected",
        "rescues": {"resubscribe": 2, "move": 1, "slow": 0},
        "log": [],
        "by_market": {},
    }
    return {key: value for key, value in (plain | given).items() if value is not ...}


def parsed(**given: Any) -> WorkerRecord:
    """The record as the reader gives it."""
    return WorkerRecord.model_validate_json(orjson.dumps(record(**given)))


def counts(entries: int) -> dict[str, Any]:
    """What a worker counts by market; later markets are quieter."""
    return {
        one: {
            "entries": entries // (at + 1),
            "trades": entries // 10,
            "last_ms": NOW_MS - 700 * at,
            "spread": f"0.0{at % 9 + 1}" if at != 3 else "",
            "matches": 900 + at,
            "mismatches": 30 if at == 4 else 0,
        }
        for at, one in enumerate(lines())
    }


def entry(kind: Any, outcome: int | None, seq: int, at_ms: int, **given: Any) -> Seen:
    """One entry of a stream."""
    quoted = {"bid": "0.48", "bid_size": "30", "ask": "0.52", "ask_size": "1234.5"} if kind == "top" else {}
    plain: dict[str, Any] = {
        "kind": kind,
        "outcome": outcome,
        "bid": "",
        "bid_size": "",
        "ask": "",
        "ask_size": "",
        "venue_ms": at_ms - 20,
        "recv_us": at_ms * 1000,
        "gen": 3,
        "seq": seq,
        "skipped": 0,
        "note": "",
    }
    return Seen(EntryId(at_ms, 0), Entry(**plain | quoted | given))


def history(number: int) -> list[Seen]:
    """Six minutes of one market: a slow wave, a trade now and then, one gap."""
    begin_ms = NOW_MS - 360_000
    found = [entry("gap", None, 0, begin_ms, note=gap_note("handover", (begin_ms - 500) * 1000, "alpha-1"))]
    for step in range(72):
        at_ms, price = begin_ms + 5_000 * step + 100, 40 + abs(step % 24 - 12) + number
        for outcome in (0, 1):
            bid = price if outcome == 0 else 98 - price
            sides = {"bid": f"0.{bid:02d}", "bid_size": f"{100 + 7 * step}", "ask": f"0.{bid + 2:02d}"}
            found.append(
                entry("top", outcome, step + 1, at_ms + outcome, **sides, ask_size=f"{5_000 + step}.25")
            )
        if step == 40:
            note = gap_note("disconnect", (at_ms + 10) * 1000, "alpha-1")
            found.append(entry("gap", None, step + 1, at_ms + 20, note=note))
        if step % 9 == 0:
            found.append(entry("trade", 0, step + 1, at_ms + 30, bid=f"0.{price:02d}", bid_size="12"))
    return found


def pages(shown: int = 12) -> list[Page]:
    """The ends of the streams, with a gap, a resolution and an empty side among them."""
    made = []
    for at, one in enumerate(list(lines())[:shown]):
        entries = history(at)
        if at == 2:
            entries.append(entry("gap", 0, 90, NOW_MS - 900, note=gap_note("stale", 5, "alpha-1")))
        if at == 5:
            entries.append(entry("gap", 1, 90, NOW_MS - 900, note=gap_note("desync", 5, "alpha-1")))
        if at == 3:
            entries.append(entry("resolved", None, 90, NOW_MS - 800, note="1"))
        if at == 4:
            entries.append(entry("top", 0, 90, NOW_MS - 700, bid="", bid_size=""))
        made.append(Page(one, entries, first=True))
    return made


def opportunity(action: str, at_ms: int, basket: str = "b1", **given: str) -> Found:
    """One entry of an opportunity stream."""
    ids = list(lines())
    legs = [
        {
            "token": "1",
            "market": ids[at],
            "outcome": at % 2,
            "price": f"0.{31 + at}",
            "size": "150.5",
            "age_ms": 12,
        }
        for at in range(3)
    ]
    plain = {
        "action": action,
        "basket": basket,
        "kind": "negrisk-yes",
        "group": "0xfe",
        "event": "city-mayor",
        "payout": "1",
        "guarantee": "strict",
        "ties": "",
        "size": "150.5",
        "cost": "145.98",
        "fees": "0.31",
        "net": "4.21",
        "bps": "287.78",
        "legs": orjson.dumps(legs).decode(),
        "catalog": "5-0",
        "opened": "",
        "reason": "",
        "duration_ms": "",
        "best_net": "",
        "best_bps": "",
    }
    fields = {name.encode(): value.encode() for name, value in (plain | given).items()}
    found = parse_found(f"{at_ms}-7".encode(), 7, fields)
    assert found is not None
    return found


def group(name: str, members: int, dead: int = 0, lag: int = 12, **given: Any) -> list[GroupLine]:
    """A group whose members say the same of themselves, in 12 of 500 streams."""
    said = {
        "partitions": list(range(64 // max(members, 1))),
        "handled": 90_000,
        "behind_ms": 40,
        "now_ms": NOW_MS,
    }
    made = [parse_member(name, f"host-{at}", orjson.dumps(said | given)) for at in range(members)]
    places = {f"book:{at}": {name: Place(3, lag)} for at in range(12)}
    letters = [
        LetterLine(name, NOW_MS - 60_000 * at, one, "5", f"ValueError: no price in row {at}")
        for at, one in enumerate(list(lines())[: min(dead, 5)])
    ]
    return group_lines(made, {name: dead}, letters, places, 500)


def reading(at_ms: int = NOW_MS, **given: Any) -> Reading:
    """One look at this Redis."""
    plain: dict[str, Any] = {
        "at_ms": at_ms,
        "clocks": dict.fromkeys(range(PARTITIONS), at_ms - 400),
        "partitions": PARTITIONS,
        "server": SERVER,
        "catalog": 1,
    }
    return Reading(**plain | given)


def busy_state() -> State:
    """Two looks, a second apart: rates, histories and one market that moved."""
    state = State("redis://127.0.0.1:6379/0")
    standby = parsed(
        worker="beta-2", state="standby", waits_for="64 of 64 partitions are held by alpha-1", connections=[],
        partitions=0, tokens=0, tokens_live=0, started_ms=FIRST_MS + 1,
    )  # fmt: skip
    log = [
        {"ms": NOW_MS - 90_000, "what": "reconnect", "text": "c1 is open again after 1.4 s (1006)"},
        {"ms": NOW_MS - 80_000, "what": "gap", "text": "48 tokens of c1: disconnect, 1.4 s"},
        {"ms": NOW_MS - 12_000, "what": "rescue", "text": "token 7183 of c0: subscribed again"},
        {"ms": NOW_MS - 5_000, "what": "market", "text": "new: Bitcoin Up or Down, 7:00AM"},
        {"ms": NOW_MS - 2_000, "what": "error", "text": "a frame was put aside: not JSON"},
    ]
    for second in range(60, -1, -1):
        at_ms = NOW_MS - 1000 * second
        updates = 10_000 + sum(900 + 70 * (step * step % 11) for step in range(60 - second))
        first = parsed(
            now_ms=at_ms,
            counters={"entries": updates, "updates": updates, "gaps": 0},
            connections=[
                connection("c0", frames=updates // 2),
                connection("c1", frames=updates // 3, opens=3, last_close="1006 no close frame"),
            ],
            by_market=counts(updates),
            log=log,
        )
        state.take(reading(at_ms, workers=[first, standby.model_copy(update={"now_ms": at_ms})]), lines())
    ids = list(lines())
    state.take(reading(pages=pages()), lines(), opened=ids[0])
    moved = [
        Page(ids[0], [entry("top", 0, 95, NOW_MS - 100, bid="0.45", ask="0.55")], first=False),
        Page(ids[1], [entry("top", 0, 95, NOW_MS - 100, bid="0.11", bid_size="9", ask="0.14")], first=False),
    ]
    found = [
        opportunity("open", NOW_MS - 95_000, "b0", event="bitcoin-above"),
        opportunity(
            "close", NOW_MS - 91_000, "b0", duration_ms="4000", best_net="5.5", event="bitcoin-above"
        ),
        opportunity("open", NOW_MS - 31_000),
        opportunity("update", NOW_MS - 4_000, net="6.02"),
        opportunity(
            "open", NOW_MS - 400, "b2", kind="reverse-trio", guarantee="except-tie", event="eth-range"
        ),
    ]
    groups = [*group("arbitrage", 1), *group("archive", 2, dead=4, lag=23_000, behind_ms=14_000)]
    engine = EngineWord("arbitrage", NOW_MS - 300)
    state.take(reading(pages=moved, found=found, engine=engine, groups=groups), lines(), opened=ids[0])
    state.story.note("the synthetic venue's seed is 7", NOW_MS - 600_000)
    state.story.judge(state.health(NOW_MS), NOW_MS - 3_500_000)
    state.rank("activity", "", NOW_MS)
    return state


def look(width: int = 120, height: int = 40, *, ascii_only: bool = False, **given: Any) -> Look:
    """A screen."""
    plain: dict[str, Any] = {"now_ms": NOW_MS, "wall_ms": NOW_MS}
    return Look(width, height, ASCII if ascii_only else UNICODE, **plain | given)
