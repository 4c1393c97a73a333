"""An engine that was put away and taken up again goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.arbitrage.adoption import Adoption, Record
from consumers.arbitrage.engine import Engine
from consumers.arbitrage.evaluate import Limits
from consumers.arbitrage.judge import Found
from consumers.arbitrage.opportunity import FIELDS, Opportunity
from consumers.arbitrage.state import changes_of, restored
from consumers.arbitrage.terms import Terms
from marketdata.entries import EntryId
from marketdata.errors import CatalogError, EntryError
from tests.arbitrage_bench import LIMITS, START_MS, Hand, above, bucket, contest, terms

MARKETS = [
    *(above(one) for one in ("1", "2", "3")),
    bucket("", "1"),
    bucket("1", "2"),
    bucket("2", "3"),
    *contest("abcd"),
    terms("alone"),
]


class Kept:
    """The hash, as Redis would hold it."""

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}

    def commit(self, engine: Engine, *, adopted: bool = False) -> None:
        changes = changes_of(engine, adopted=adopted)
        for name in changes.remove:
            self.fields.pop(name.encode(), None)
        for name, value in changes.set.items():
            self.fields[name.encode()] = value if isinstance(value, bytes) else value.encode()


Step = Callable[[Engine, EntryId], list[Found]]


def life(random: Random, steps: int) -> list[Step]:
    """Entries of all kinds, catalogs included."""
    made: list[Step] = []
    for _ in range(steps):
        market, outcome = random.choice(MARKETS), random.randrange(2)
        price, size = f"0.{random.randint(1, 70):02d}", f"{random.randint(1, 30)}"
        bid = random.choice(["", f"0.{random.randint(1, 70):02d}"])
        some = [
            replace(one, left_out="odd" if one.is_price and random.random() < 0.2 else "") for one in MARKETS
        ]
        kind = random.choices(range(8), [60, 6, 3, 3, 12, 1, 1, 3])[0]
        match kind:
            case 0:
                made.append(
                    lambda e, at, m=market, o=outcome, b=bid, p=price, s=size: e.top(
                        at, m.condition_id, o, b, p, s
                    )
                )
            case 1:
                made.append(lambda e, at, m=market, o=outcome: e.seen(at, m.condition_id, o))
            case 2:
                back_ms = random.choice((0, 0, 50, 5_000))
                made.append(
                    lambda e, at, m=market, o=outcome, b=back_ms: e.gap(
                        at, m.condition_id, random_of(o), at.ms - b
                    )
                )
            case 3:
                made.append(lambda e, at, m=market, o=outcome: e.top(at, m.condition_id, o, "", "", ""))
            case 4:
                made.append(lambda e, at: e.clock(at))
            case 5:
                made.append(lambda e, at, m=market, o=outcome: e.resolved(at, m.condition_id, o))  # type: ignore[misc]
            case 6:
                # Of a stream that appeared later, right behind a new catalog.
                made.append(
                    lambda e, at, t=some, m=market, o=outcome, p=price, s=size: (
                        e.adopt(f"{at.ms}-0", t),
                        e.top(EntryId(at.ms - 60_000, at.n), m.condition_id, o, "", p, s),
                    )[1]
                )
            case _:
                made.append(lambda e, at, t=some: (e.adopt(f"{at.ms}-0", t), e.clock(at))[1])
    return made


def random_of(outcome: int) -> int | None:
    """Gaps of a token, and of the whole market."""
    return outcome or None


def lived(
    steps: list[Step], delays: list[int], breaks: set[int], limits: Limits = LIMITS
) -> list[tuple[EntryId, dict[str, str]]]:
    """What comes out if it is put away and taken up again at these places."""
    engine, kept = Engine(limits), Kept()
    engine.adopt("1-0", sorted(MARKETS, key=lambda one: one.condition_id))
    ms, told = START_MS, []
    for place, (step, delay) in enumerate(zip(steps, delays, strict=True)):
        ms += delay
        before = engine.revision
        found = step(engine, EntryId(ms, place))
        told += [(one.id, one.opportunity.to_fields()) for one in found]
        kept.commit(engine, adopted=place == 0 or engine.revision != before)
        if place in breaks:
            engine = restored(limits, kept.fields)
    return told


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), max_top_age_ms=st.sampled_from((0, 900, 4_000)), data=st.data())
def test_a_life_with_breaks_tells_what_a_whole_one_tells(
    seed: int, max_top_age_ms: int, data: st.DataObject
) -> None:
    random, limits = Random(seed), replace(LIMITS, max_top_age_ms=max_top_age_ms)
    steps = life(random, 150)
    delays = [random.choice((0, 1, 1, 5, 80, 400, 1_500, 4_000)) for _ in steps]
    breaks = data.draw(st.sets(st.integers(0, len(steps) - 1), max_size=12))
    whole = lived(steps, delays, set(), limits)
    assert lived(steps, delays, breaks, limits) == whole
    assert lived(steps, delays, set(range(len(steps))), limits) == whole
    assert [at for at, _ in whole] == sorted({at for at, _ in whole})


def test_such_lives_are_worth_living() -> None:
    """Else the test above would compare nothing with nothing."""
    random = Random(1)
    actions, doubted = set(), 0
    for _ in range(20):
        steps = life(random, 150)
        delays = [random.choice((0, 1, 80, 1_500)) for _ in steps]
        for max_top_age_ms in (0, 900):
            limits = replace(LIMITS, max_top_age_ms=max_top_age_ms)
            for _, fields in lived(steps, delays, set(), limits):
                actions.add((fields["action"], fields["reason"]))
                doubted += fields["doubted_since_ms"] != ""
    assert doubted
    assert {
        ("open", ""),
        ("update", ""),
        ("close", "price"),
        ("close", "gap"),
        ("close", "resolved"),
    } <= actions
    assert {("close", "catalog"), ("close", "stale"), ("close", "old"), ("close", "empty")} <= actions


def test_nothing_kept_is_a_new_engine() -> None:
    assert restored(LIMITS, {}).handled == (0, 0)


@pytest.mark.parametrize("name", [b"handled", b"clock", b"o:ffff", b"l:1"])
def test_what_cannot_be_read_is_said_in_one_line(name: bytes) -> None:
    engine, kept = Engine(LIMITS), Kept()
    market = replace(terms("alone"), tokens=("1", "2"))
    engine.adopt("1-0", [market])
    engine.clock(EntryId(START_MS, 0))
    kept.commit(engine, adopted=True)
    with pytest.raises(EntryError, match="nothing was handled"):
        restored(LIMITS, kept.fields | {name: b"x"})


def test_a_state_that_knows_no_time_of_the_last_telling_goes_on_from_the_opening() -> None:
    low, high = above("1"), above("2")
    hand = Hand([low, high])
    kept = Kept()
    hand.ask(low, 0, "0.5")
    hand.ask(high, 1, "0.4", later_ms=100)
    hand.ask(high, 1, "0.3", later_ms=100)
    kept.commit(hand.engine, adopted=True)
    (name,) = [one for one in kept.fields if one.startswith(b"o:")]
    kept.fields[name] = orjson.dumps(
        {key: value for key, value in orjson.loads(kept.fields[name]).items() if key != "told_ms"}
    )
    hand.engine = restored(LIMITS, kept.fields)
    opened_ms = hand.found[0].id.ms
    assert hand.gap(low, 0, later_ms=50, back_ms=150)[0].opportunity.doubted_since_ms is None
    hand.engine = restored(LIMITS, kept.fields)
    (closed,) = hand.gap(low, 0, back_ms=hand.ms - opened_ms + 2)
    assert closed.opportunity.doubted_since_ms == opened_ms - 1


def test_fields_are_always_all_and_in_order_and_come_back_the_same() -> None:
    random = Random(2)
    steps = life(random, 600)
    told = lived(steps, [1] * 600, set())
    assert len(told) > 30
    for _, fields in told:
        assert tuple(fields) == FIELDS
        raw = {name.encode(): value.encode() for name, value in fields.items()}
        assert Opportunity.from_fields(raw).to_fields() == fields


def test_a_record_of_adoptions_is_followed_each_once_and_at_its_place() -> None:
    old, new = [above("1"), above("2")], [above("2"), above("3", left_out="odd")]
    first = Adoption.between(EntryId(0, 0), "1-0", [], old)
    second = Adoption.between(EntryId(10, 5), "2-0/abcd", old, new)
    assert second.gone == (above("1").condition_id,)
    by_id = sorted(new, key=lambda one: one.condition_id)
    assert second.applied(first.applied([])) == by_id
    raw = [
        {name.encode(): value.encode() for name, value in one.to_fields().items()} for one in (first, second)
    ]
    assert [Adoption.from_fields(one) for one in raw] == [first, second]
    record = Record([first, second], EntryId(0, 0))
    assert record.due(EntryId(1, 0)) == [first]
    assert record.due(EntryId(10, 5)) == []
    assert record.due(EntryId(10, 6)) == [second]
    assert record.due(EntryId(99, 0)) == []
    # One that goes on: what lies behind it was adopted, what stands right at its last entry was not.
    assert Record([first, second], EntryId(10, 5)).due(EntryId(11, 0)) == [second]
    assert Record([first, second], EntryId(10, 6)).due(EntryId(11, 0)) == []


def test_a_broken_adoption_is_an_error() -> None:
    with pytest.raises(CatalogError):
        Adoption.from_fields({b"after": b"1-0", b"revision": b"1-0", b"changed": b"[{}]", b"gone": b"[]"})


def test_terms_of_another_version_are_an_error() -> None:
    assert isinstance(MARKETS[0], Terms)
    with pytest.raises(CatalogError, match="another version"):
        Adoption.from_fields(
            {b"after": b"1-0", b"revision": b"1-0", b"changed": b'[{"tokens": []}]', b"gone": b"[]"}
        )
