"""Corrections by a file: what they change, what they never touch, and how wrong files are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consumers.arbitrage.baskets import formed
from consumers.catalog.overrides import NOTHING, Overrides, read_overrides
from consumers.catalog.sets import family_sets, terms_in_force
from marketdata.errors import SettingsError
from marketdata.market import Market
from tests.unit.test_bruteforce import above, buckets, contest


def overrides(folder: Path, text: str) -> Overrides:
    path = folder / "overrides"
    path.write_text(text)
    return read_overrides(str(path))


def test_no_file_changes_nothing() -> None:
    markets = above(80_000, 82_000)
    assert read_overrides("").apply(markets) == markets
    assert NOTHING.revision("5-1") == "5-1"


def test_a_strike_is_corrected_and_the_market_takes_part(tmp_path: Path) -> None:
    low, high = above(80_000, 82_000)
    broken = replace(high, lower="", left_out="the label says another strike")
    (before,) = family_sets([low, broken], NOTHING)
    assert "ladder" not in before.kinds()
    corrected = overrides(tmp_path, f'[markets.{high.slug}]\nlower = "82000"\n')
    (after,) = family_sets([low, broken], corrected)
    assert after.kinds()["ladder"] == 1
    assert after.why_not(after.markets[1]) == ""


def test_a_market_can_be_put_into_another_family(tmp_path: Path) -> None:
    low, high = above(80_000, 82_000)
    alone = replace(low, family="event:1", family_kind="event", lower="")
    text = f'[markets."{low.condition_id}"]\nfamily = "{high.family}"\nkind = "threshold"\nlower = "80000"\n'
    (one,) = family_sets([replace(alone, partition=high.partition), high], overrides(tmp_path, text))
    assert one.kinds() == {"complement": 2, "ladder": 1}


def test_the_catalog_shows_what_the_engine_forms_of_an_event_over_two_families(tmp_path: Path) -> None:
    markets = buckets(80_000, 82_000, 84_000)
    # One of its markets alone in another family: the event is whole all the same.
    text = f'[markets.{markets[1].slug}]\nfamily = "price:elsewhere"\n'
    moved = overrides(tmp_path, text)
    sets = family_sets(markets, moved)
    assert [len(one.markets) for one in sets] == [3, 1]
    assert [note for one in sets for note in one.set_notes()] == []
    engine = formed(terms_in_force(markets, moved))
    shown = sorted((basket for one in sets for basket in one.formed.baskets), key=lambda one: one.basket_id)
    assert shown == list(engine.baskets)
    assert sets[0].kinds() == {"complement": 3, "negrisk-yes": 1, "negrisk-no": 1}
    # And what it does not form is said once.
    part = family_sets(markets[:3], moved)
    assert [note.why for one in part for note in one.set_notes()] == [
        "the venue lists 4 markets in the event, the catalog holds 3"
    ]


def test_an_excluded_market_ends_its_set_and_an_excluded_event_everything_in_it(tmp_path: Path) -> None:
    markets = contest("abc")
    (one,) = family_sets(markets, overrides(tmp_path, f'[markets.{markets[0].slug}]\nexclude = "odd"\n'))
    assert one.kinds() == {"complement": 2}
    assert "excluded: odd" in one.why_not(next(m for m in one.markets if m.slug == markets[0].slug))
    (gone,) = family_sets(markets, overrides(tmp_path, '[events.contest]\nexclude = "odd"\n'))
    assert gone.kinds() == {}
    assert {market.left_out for market in gone.markets} == {"excluded: odd"}


def test_the_bound_of_a_basket_is_its_partition() -> None:
    low, high = above(80_000, 82_000)
    apart = replace(high, partition=(high.partition + 1) % 64)
    assert [one.kinds() for one in family_sets([low, apart], NOTHING)] == [
        {"complement": 1},
        {"complement": 1},
    ]


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    toml = overrides(tmp_path, '[markets.one]\nlower = "5"\nupper = ""\n[events.two]\nexclude = "odd"\n')
    json = overrides(
        tmp_path, '{"events": {"two": {"exclude": "odd"}}, "markets": {"ONE": {"lower": "5", "upper": ""}}}'
    )
    other = overrides(tmp_path, '[markets.one]\nlower = "6"\n')
    assert toml.digest == json.digest != other.digest
    assert toml.revision("5-1") == f"5-1/{toml.digest}"


def test_names_that_nobody_has_are_told(tmp_path: Path) -> None:
    markets = above(80_000)
    out = 'exclude = "x"'
    text = f'[markets.nobody]\n{out}\n[markets.{markets[0].slug}]\nlower = "1"\n[events.nowhere]\n{out}\n'
    assert overrides(tmp_path, text).unused(markets) == ["nobody", "nowhere"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ('kind = "threshold"\nlower = ""', "no lower strike"),
        ('kind = "threshold"\nupper = "9"', "upper strike for a threshold"),
        ('kind = "range"\nlower = ""\nupper = ""', "no strike for a range"),
        ('kind = "range"\nupper = "70000"', "goes from 80000 to 70000"),
    ],
)
def test_a_correction_that_makes_no_sense_of_a_market_leaves_it_out(
    tmp_path: Path, change: str, why: str
) -> None:
    (market,) = above(80_000)
    (corrected,) = overrides(tmp_path, f"[markets.{market.slug}]\n{change}\n").apply([market])
    assert why in corrected.left_out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[markets.one", "overrides is no TOML ("),
        ("{", "overrides is no JSON ("),
        ("[market.one]\nlower = '5'", "market is no key that is known here; known are markets, events"),
        (
            "[markets.one]\nstrike = '5'",
            "markets.one.strike is no key that is known here; known are exclude, kind, lower, upper, family",
        ),
        (
            "[events.one]\nexclude = 'x'\nwhy = 'x'",
            "events.one.why is no key that is known here; known are exclude",
        ),
        ("[markets.one]\nlower = 5", "markets.one.lower: it must be text, in quotes"),
        ("[markets.one]\nlower = 'abc'", "markets.one.lower: a strike is a decimal number in quotes, as"),
        ("[markets.one]\nkind = 'trio'", "markets.one.kind: it is 'trio'; allowed: 'threshold' or 'range'"),
        ("markets = 5", "markets: it must be a table of names"),
        ("[markets]\none = 5", "markets.one: it must be a table of keys and values"),
        ("[markets.one]\nlower = '9'\nupper = '5'", "lower must be below upper"),
        ("[markets.one]\nlower = '9'\nexclude = 'x'", "say either"),
        ("[markets.one]", "say either"),
        ("[events.one]\nexclude = ''", "events.one.exclude: it must not be empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match="CATALOG_OVERRIDES") as caught:
        overrides(tmp_path, text)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("o.json", '"markets": {', "o.json is no JSON ("),
        ("o.JSON", "[markets.one]\nlower = '5'", "o.JSON is no JSON ("),
        ("o.json", "[1,2]", "o.json: it must be a table with markets and events"),
        ("o", '{"markets": ', "o is no JSON ("),
        ("o", "[1,2]", "o is no TOML ("),
        ("o.toml", '{"markets": {}}', "o.toml is no TOML ("),
    ],
)
def test_the_name_or_the_first_character_decides_what_it_is(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SettingsError, match="CATALOG_OVERRIDES") as caught:
        read_overrides(str(path))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_overrides(str(tmp_path / "nothing"))


def test_terms_are_those_of_the_corrected_records(tmp_path: Path) -> None:
    markets: list[Market] = [*above(80_000), *buckets(80_000)]
    corrected = overrides(tmp_path, f'[markets.{markets[0].slug}]\nlower = "81000"\n')
    (threshold,) = [one for one in terms_in_force(markets, corrected) if one.family_kind == "threshold"]
    assert threshold.lower == "81000"
