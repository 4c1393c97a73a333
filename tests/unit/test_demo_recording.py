"""The recording that comes with the package is what its generator writes, and is sound."""

from __future__ import annotations

import gzip
from pathlib import Path

from marketdata.market import market_from_gamma
from simulator.captured.capture import load_capture
from simulator.captured.feed import CapturedFeed
from simulator.data import demo_recording
from simulator.data.make_demo import recording


def test_it_is_what_its_generator_writes() -> None:
    assert gzip.decompress(demo_recording().read_bytes()) == recording()


def test_every_book_of_it_verifies() -> None:
    capture = load_capture(demo_recording())
    assert len(capture.findings) == 12
    assert all(found.form == "full" and found.failures == 0 for found in capture.findings.values())
    assert sum(found.neg_risk for found in capture.findings.values()) == 4


def test_the_catalog_takes_its_markets_as_they_are_meant() -> None:
    feed = CapturedFeed([load_capture(demo_recording())], speed=1, loop=False)
    markets = [market_from_gamma(row, event, 64) for event in feed.events() for row in event["markets"]]
    assert len(markets) == 12
    assert all(one.tradable and one.question for one in markets)
    cup = [one for one in markets if one.event_slug == "which-demo-team-wins-the-cup"]
    assert len(cup) == 4
    assert all(one.neg_risk for one in cup)
    assert len({one.family for one in cup}) == 1


def test_its_source_and_licence_are_stated() -> None:
    stated = Path(demo_recording()).with_name("SOURCES.md").read_text()
    assert demo_recording().name in stated
    assert "Constructed" in stated
