"""Markets are bound by what their titles and texts say, and left out where those disagree."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marketdata.decimals import from_micros, to_micros
from marketdata.errors import StrikeError
from marketdata.families import Family, Listing, family_of, sibling_event_slug
from marketdata.families.price import title_of_price_market
from marketdata.families.settlement import rules_of, settlement_time, spell, utc, when_of
from marketdata.families.strikes import Strike, asked, strike_of_label, strike_of_slug
from marketdata.market import market_from_gamma
from marketdata.partitions import partition_of
from tests.gamma_rows import DATA, recorded

NOON = (
    'This market will resolve to "Yes" if the Binance 1 minute candle for BTC/USDT 12:00 in the ET timezone '
    '(noon) on the date specified in the title has a final "Close" price higher than the price in the title.'
)
MARCH_11 = "price:bitcoin:Binance BTC/USDT:2026-03-11T16:00:00Z"
ABOVE = Listing(
    condition_id="0x1",
    question="Will the price of Bitcoin be above $64,000 on March 11?",
    slug="bitcoin-above-64k-on-march-11",
    label="64,000",
    description=NOON,
    end="2026-03-11T16:00:00Z",
    event_id="246060",
    event_slug="bitcoin-above-on-march-11",
    event_title="Bitcoin above ___ on March 11?",
    event_description=NOON,
    event_end="2026-03-11T16:00:00Z",
)
RANGE = replace(
    ABOVE,
    question="Will the price of Bitcoin be between $64,000 and $66,000 on March 11?",
    slug="will-the-price-of-bitcoin-be-between-64000-66000-on-march-11",
    label="64,000-66,000",
    event_id="246061",
    event_slug="bitcoin-price-on-march-11",
    event_title="Bitcoin price on March 11?",
    neg_risk=True,
)


def ladder(family: Family) -> tuple[str, str, str, str]:
    return family.kind, family.lower, family.upper, family.left_out


def test_the_recorded_ladder_and_the_made_up_families() -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    for folder in ("gamma", "gamma_constructed"):
        for name, row, event in recorded(folder):
            if "between" not in name:
                one = market_from_gamma(row, event, 64)
                kinds[one.family_kind, one.family] += 1
                assert one.partition == partition_of(one.family)
    noon = "price:bitcoin:Binance BTC/USDT:2026-09-30T16:00:00Z"
    assert kinds["threshold", noon] == kinds["range", noon] == 11
    assert kinds["threshold", MARCH_11] == 1
    assert kinds["threshold", "event:72027"] == 1, "without a source nothing outside the event is bound"
    assert kinds["neg-risk", "event:30829"] == 2
    assert kinds["event", "event:260654"] == 1, "up or down is no ladder"
    assert kinds["event", "event:346898"] == 2, "several markets in an event do not make a family"
    assert sum(kinds.values()) == 33


def test_the_made_up_families_have_all_their_strikes() -> None:
    markets = [market_from_gamma(row, event, 64) for _, row, event in recorded("gamma_constructed")]
    above = sorted(int(one.lower) for one in markets if one.family_kind == "threshold")
    assert above == list(range(74_000, 96_000, 2_000))
    buckets = sorted((one.lower, one.upper) for one in markets if one.family_kind == "range")
    rising = [str(bound) for bound in range(76_000, 96_000, 2_000)]
    assert buckets == sorted([("", "76000"), *pairwise(rising), ("94000", "")])
    assert [one.left_out for one in markets] == [""] * 22


def test_no_recorded_market_of_the_clob_is_bound_by_mistake() -> None:
    page = json.loads((DATA / "clob" / "markets_page.json").read_bytes())["data"]
    singles = [
        json.loads((DATA / "clob" / f"{name}.json").read_bytes())
        for name in ("market_2024", "market_closed_2026")
    ]
    rows = [*page, *singles]
    assert len(rows) == 102
    families = {row["question"]: family_of(from_clob(row)) for row in rows}
    ladder_of_2022 = families.pop("Will the price of $ETH be above $1200 on December 30?")
    assert ladder(ladder_of_2022) == ("threshold", "1200", "", "")
    assert ladder_of_2022.key == "price:ethereum:Binance ETH/USDT:2022-12-30T17:00:00Z"
    for question, family in families.items():
        assert family.kind in ("market", "neg-risk"), question
        assert (family.lower, family.upper, family.left_out) == ("", "", "")


def from_clob(row: dict[str, object]) -> Listing:
    return Listing(
        condition_id=str(row["condition_id"]),
        question=str(row["question"]),
        slug=str(row["market_slug"]),
        description=str(row["description"]),
        end=str(row["end_date_iso"] or ""),
        neg_risk=row["neg_risk"] is True,
        neg_risk_market_id=str(row["neg_risk_market_id"]),
    )


def test_the_recorded_bucket_of_2025_is_a_range_though_its_end_date_is_only_a_day() -> None:
    row = json.loads((DATA / "clob" / "market_range_bucket_negrisk_apr_2025.json").read_bytes())
    family = family_of(from_clob(row))
    assert ladder(family) == ("range", "89000", "", "")
    assert family.key == "price:bitcoin:Binance BTC/USDT:2025-04-25T16:00:00Z"


def test_the_recorded_bucket_of_2026_has_its_strikes_from_its_question_alone() -> None:
    row = json.loads((DATA / "gamma" / "fragment_bitcoin_between_march_3_2026.json").read_bytes())
    family = family_of(Listing(row["conditionId"], question=row["question"], end=row["endDate"]))
    assert ladder(family) == ("range", "66000", "68000", "")
    assert family.key == f"market:{row['conditionId']}", "its source is not stated"


def test_ladder_and_ranges_of_one_settlement_share_one_key() -> None:
    assert family_of(ABOVE).key == family_of(RANGE).key == MARCH_11
    assert ladder(family_of(ABOVE)) == ("threshold", "64000", "", "")
    assert ladder(family_of(RANGE)) == ("range", "64000", "66000", "")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"label": "65,000"}, "the label says 65000 to ..., the question 64000 to ..."),
        ({"label": "64,000-66,000"}, "the label says 64000 to 66000"),
        ({"label": "<64,000"}, "the label says ... to 64000"),
        ({"label": "↑ 64,000"}, "is no strike"),
        ({"label": "64.0.0"}, "is no strike"),
        ({"label": "64,00"}, "cannot read the number"),
        ({"slug": "bitcoin-above-66k-on-march-11"}, "the slug says 66000"),
        ({"slug": "will-the-price-of-bitcoin-be-less-than-64000-on-march-11"}, "the slug says ... to 64000"),
        ({"slug": "bitcoin-above-64k-on-march-12"}, "the slug 'march-12'"),
        ({"slug": "bitcoin-above-64k-on-march-11-2025"}, "the end date is 2026-03-11"),
        ({"question": "Will the price of Ethereum be above $64,000 on March 11?"}, "asks about 'Ethereum'"),
        ({"question": "Will Bitcoin hit $64,000 in March?"}, "names no strike"),
        ({"question": "Will the price of Bitcoin be above $64,000 on March 12?"}, "the slug 'march-11'"),
        ({"question": RANGE.question}, "asks for a range, its event for a threshold"),
        ({"description": NOON.replace("BTC/USDT", "ETH/USDT")}, "no price of Bitcoin"),
        ({"description": NOON.replace("BTC/USDT", "BTC/USDC")}, "settles on Binance BTC/USDC, its event on"),
        ({"description": NOON.replace("12:00", "15:00")}, "settles at 2026-03-11T19:00:00Z, its event at"),
        ({"description": NOON.replace("the Binance 1 minute", "any Binance 1 minute")}, "any candle"),
        ({"description": NOON.replace("1 minute", "1 hour")}, "a 1 hour candle"),
        ({"description": NOON.replace('"Close"', '"High"')}, "a candle's High"),
        ({"end": "2026-03-14T16:00:00Z"}, "the end date is 2026-03-14T16:00:00Z"),
    ],
)
def test_a_market_that_disagrees_is_left_out_and_keeps_its_familys_key(
    changed: dict[str, Any], reason: str
) -> None:
    family = family_of(replace(ABOVE, **changed))
    assert reason in family.left_out
    assert "\n" not in family.left_out
    assert (family.lower, family.upper) == ("", "")
    assert (family.kind, family.key) == ("threshold", MARCH_11), "its event stays in one partition"


@pytest.mark.parametrize(
    "title",
    [
        "What price will Bitcoin hit in March?",
        "Bitcoin Up or Down on March 11?",
        "Bitcoin above ___ in March?",
        "Katana FDV above ___ one day after launch?",
        "Will $ETH be above $1,700 on June 17?",
        "Will Bitcoin be above $64,000 on March 11?",
    ],
)
def test_events_of_other_kinds_are_no_price_families(title: str) -> None:
    family = family_of(replace(ABOVE, event_title=title))
    assert ladder(family) == ("event", "", "", "")
    assert family.key == "event:246060"


def test_touch_and_up_or_down_markets_by_themselves_are_no_ladders() -> None:
    for question in (
        "Will Bitcoin reach $100,000 in March?",
        "Bitcoin Up or Down - March 12, 5:20AM-5:25AM ET",
    ):
        assert family_of(Listing("0x1", question=question)).kind == "market"


def test_a_neg_risk_event_is_one_whatever_the_number_of_its_markets() -> None:
    one = Listing("0x1", question="Will A win?", event_id="7", event_title="Who wins?", neg_risk=True)
    assert family_of(one) == Family("event:7", "neg-risk")
    assert family_of(replace(one, neg_risk=False)) == Family("event:7", "event")
    assert "augmented" in family_of(replace(one, augmented=True)).left_out
    alone = replace(one, event_id="", neg_risk_market_id="0x9")
    assert family_of(alone).key == "neg-risk:0x9"


def test_a_range_whose_event_is_augmented_takes_no_part() -> None:
    family = family_of(replace(RANGE, augmented=True))
    assert "augmented" in family.left_out
    assert (family.kind, family.key) == ("range", MARCH_11)


def test_an_unknown_settlement_binds_nothing_beyond_the_event() -> None:
    bare = replace(ABOVE, description="", event_description="")
    assert ladder(family_of(bare)) == ("threshold", "64000", "", "")
    assert family_of(bare).key == "event:246060"


def test_other_assets_come_from_the_title() -> None:
    xrp = Listing(
        "0x1",
        question="Will the price of XRP be above $0.6 on July 8?",
        slug="xrp-above-0pt6-on-july-8-2026",
        label="0.6",
        description=NOON.replace("BTC/USDT", "XRP/USDT"),
        end="2026-07-08T16:00:00Z",
        event_id="1",
        event_slug="xrp-above-on-july-8-2026",
        event_title="XRP above ___ on July 8?",
    )
    family = family_of(xrp)
    assert ladder(family) == ("threshold", "0.6", "", "")
    assert (family.asset, family.settlement_source) == ("XRP", "Binance XRP/USDT")
    assert family.settlement_time == "2026-07-08T16:00:00Z"


def test_the_hour_of_an_hourly_ladder_comes_from_title_or_slug() -> None:
    hourly = replace(
        ABOVE,
        question="Will the price of Bitcoin be above $64,000 on April 5, 3PM ET?",
        slug="bitcoin-above-64k-on-april-5-2026-3pm-et",
        description="Binance BTC/USDT 1 minute candle",
        end="2026-04-05T19:00:00Z",
        event_slug="bitcoin-above-on-april-5-2026-3pm-et",
        event_title="Bitcoin above ___ on April 5, 3PM ET?",
        event_description="Binance BTC/USDT 1 minute candle",
        event_end="2026-04-05T19:00:00Z",
    )
    assert family_of(hourly).key == "price:bitcoin:Binance BTC/USDT:2026-04-05T19:00:00Z"
    assert "the description 12:00 ET" in family_of(replace(hourly, description=NOON)).left_out
    other_hour = replace(hourly, slug="bitcoin-above-64k-on-april-5-2026-4pm-et")
    assert "the slug 'april-5-2026-4pm-et'" in family_of(other_hour).left_out


@pytest.mark.parametrize(
    "question",
    [
        "Will the price of Bitcoin be between $50,000 and $40,000 on March 3?",
        "Will the price of Bitcoin be above $1.12345678 on March 3?",
    ],
)
def test_a_question_whose_strikes_cannot_be_read_binds_nothing(question: str) -> None:
    assert title_of_price_market(question) is None
    with pytest.raises(StrikeError):
        asked(question)


@pytest.mark.parametrize(
    ("label", "strike"),
    [
        ("64,000", Strike("64000", "")),
        ("$64,000", Strike("64000", "")),
        ("0.6", Strike("0.6", "")),
        ("84,000-86,000", Strike("84000", "86000")),
        ("84,000–86,000", Strike("84000", "86000")),
        ("$84,000 — $86,000", Strike("84000", "86000")),
        ("<84,000", Strike("", "84000")),
        (">86,000", Strike("86000", "")),
        ("64k", Strike("64000", "")),
        ("1.25m", Strike("1250000", "")),
        ("Stephen A. Smith", None),
        ("↑ 100,000", None),
        ("$1B+", None),
        ("", None),
    ],
)
def test_labels(label: str, strike: Strike | None) -> None:
    assert strike_of_label(label) == strike


@pytest.mark.parametrize(
    ("slug", "strike"),
    [
        ("bitcoin-above-64k-on-march-11", Strike("64000", "")),
        ("xrp-above-0pt6-on-july-8-2026", Strike("0.6", "")),
        ("ethereum-above-2pt1k-on-july-8-2026", Strike("2100", "")),
        ("will-the-price-of-bitcoin-be-between-76000-78000-on-may-23-2026", Strike("76000", "78000")),
        ("will-the-price-of-xrp-be-between-1pt1-1pt2-on-may-23-2026", Strike("1.1", "1.2")),
        ("will-the-price-of-bitcoin-be-less-than-52000-on-may-23-2026", Strike("", "52000")),
        ("will-the-price-of-bitcoin-be-greater-than-89000-on-apr-25", Strike("89000", "")),
        ("katana-fdv-above-1b-one-day-after-launch-395-996", None),
        ("btc-updown-5m-1773307200", None),
        ("bitcoin-above-on-march-11", None),
    ],
)
def test_slugs(slug: str, strike: Strike | None) -> None:
    assert strike_of_slug(slug) == strike


prices = st.integers(1, 10**12).map(from_micros)


def with_commas(decimal: str) -> str:
    whole, dot, places = decimal.partition(".")
    return f"{int(whole):,}{dot}{places}"


def in_slug(decimal: str) -> str:
    return decimal.replace(".", "pt")


def thousands(decimal: str) -> str:
    micros = to_micros(decimal)
    return in_slug(from_micros(micros // 1000)) + "k" if micros % 1000 == 0 else in_slug(decimal)


@given(prices)
def test_a_threshold_reads_the_same_in_label_question_and_slug(price: str) -> None:
    label = with_commas(price)
    question = asked(f"Will the price of Solana be above ${label} on June 25?")
    assert question is not None
    assert (question.asset, question.shape, question.when) == ("Solana", "threshold", "June 25")
    assert question.strike == strike_of_label(label) == Strike(price, "")
    for spelled in (in_slug(price), thousands(price)):
        assert strike_of_slug(f"solana-above-{spelled}-on-june-25-2026") == Strike(price, "")


@given(prices, prices, st.sampled_from([" and ", "-", "–", " - ", "—"]))
def test_a_bucket_reads_the_same_in_label_question_and_slug(low: str, high: str, joint: str) -> None:
    assume(low != high)
    low, high = sorted((low, high), key=to_micros)
    strike = Strike(low, high)
    question = asked(
        f"Will the price of BNB be between ${with_commas(low)}{joint}${with_commas(high)} on March 3?"
    )
    assert question is not None
    assert (question.shape, question.strike) == ("range", strike)
    dash = "-" if joint == " and " else joint
    assert strike_of_label(f"{with_commas(low)}{dash}{with_commas(high)}") == strike
    assert (
        strike_of_slug(f"will-the-price-of-bnb-be-between-{in_slug(low)}-{in_slug(high)}-on-march-3")
        == strike
    )
    with pytest.raises(StrikeError, match="does not rise"):
        strike_of_label(f"{high}-{low}")


@given(prices, st.sampled_from([("less than", "less-than", "<"), ("greater than", "greater-than", ">")]))
def test_an_open_bucket_reads_the_same_in_label_question_and_slug(
    price: str, words: tuple[str, str, str]
) -> None:
    said, dashed, sign = words
    question = asked(f"Will the price of XRP be {said} ${with_commas(price)} on March 3?")
    assert question is not None
    assert question.shape == "range"
    assert question.strike == (Strike("", price) if sign == "<" else Strike(price, ""))
    assert strike_of_label(sign + with_commas(price)) == question.strike
    assert strike_of_slug(f"will-the-price-of-xrp-be-{dashed}-{in_slug(price)}-on-march-3") == question.strike


@given(prices, prices)
def test_any_other_number_in_the_label_leaves_the_market_out(asked_for: str, labelled: str) -> None:
    assume(asked_for != labelled)
    family = family_of(
        replace(
            ABOVE,
            question=f"Will the price of Bitcoin be above ${with_commas(asked_for)} on March 11?",
            label=with_commas(labelled),
            slug="",
        )
    )
    assert "the label says" in family.left_out


@given(st.text(max_size=60))
def test_any_text_is_a_strike_or_none_or_a_typed_error(text: str) -> None:
    for read in (strike_of_label, strike_of_slug, asked):
        with suppress(StrikeError):
            assert read(text) is None or text.strip()


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=80), st.text(max_size=40))
def test_any_listing_has_a_family(question: str, label: str, description: str, end: str) -> None:
    one = replace(ABOVE, question=question, label=label, description=description, end=end)
    assert family_of(one).key == MARCH_11
    assert family_of(replace(one, event_id="")).key == "market:0x1"


@pytest.mark.parametrize(
    ("text", "clock", "end", "moment"),
    [
        ("March 11", "12:00", "2026-03-11T16:00:00Z", "2026-03-11T16:00:00Z"),
        ("November 10", "12:00", "2025-11-10T17:00:00Z", "2025-11-10T17:00:00Z"),
        ("December 31", "12:00", "2026-01-01T00:00:00Z", "2025-12-31T17:00:00Z"),
        ("February 29", "12:00", "2028-02-29T17:00:00Z", "2028-02-29T17:00:00Z"),
        ("April 5, 3PM ET", "", "2026-04-05T19:00:00Z", "2026-04-05T19:00:00Z"),
        ("April 5 at 12:30 AM ET", "", "2026-04-05T04:30:00Z", "2026-04-05T04:30:00Z"),
        ("June 25, 2026", "12:00", "", "2026-06-25T16:00:00Z"),
        ("March 11", "", "2026-03-11T16:00:00Z", "2026-03-11T16:00:00Z"),
        ("March 11", "", "2026-03-11T00:00:00Z", None),
        ("March 11", "12:00", "", None),
    ],
)
def test_settlement_times(text: str, clock: str, end: str, moment: str | None) -> None:
    rules = rules_of(f"at {clock} in the ET timezone" if clock else "", "")
    settles = settlement_time(when_of(text), rules.clock, utc(end))
    assert (spell(settles) if settles else None) == moment


@pytest.mark.parametrize("text", ["", "soon", "March", "Smarch 1", "March 11 in Paris", "April 5, 13PM ET"])
def test_days_that_are_none(text: str) -> None:
    with pytest.raises(StrikeError):
        when_of(text)


@pytest.mark.parametrize(
    ("text", "end"), [("February 30", "2026-03-01T00:00:00Z"), ("March 1", "2026-06-01")]
)
def test_days_that_do_not_exist_or_lie_far_from_the_end(text: str, end: str) -> None:
    with pytest.raises(StrikeError):
        settlement_time(when_of(text), None, utc(end))


@pytest.mark.parametrize(
    ("description", "address", "source"),
    [
        (NOON, "", "Binance BTC/USDT"),
        ("Binance 1 minute candle for BTCUSDT 25 Apr '25", "", "Binance BTC/USDT"),
        ("CONSTRUCTED", "https://www.binance.com/en/trade/BTC_USDT", "Binance BTC/USDT"),
        (
            "information from Chainlink",
            "https://data.chain.link/streams/btc-usd",
            "data.chain.link/streams/btc-usd",
        ),
        ("", "defipulse.com", ""),
        ("", "", ""),
    ],
)
def test_sources(description: str, address: str, source: str) -> None:
    assert rules_of(description, address).source == source


def test_the_slug_of_the_event_beside() -> None:
    assert sibling_event_slug("bitcoin-above-on-march-11") == "bitcoin-price-on-march-11"
    assert sibling_event_slug("bitcoin-price-on-june-25-2026") == "bitcoin-above-on-june-25-2026"
    assert sibling_event_slug("what-price-will-bitcoin-hit-in-march") is None
