"""Markets are read from files of every shape, and a file that is no catalog says where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketdata.errors import DiscoveryError
from tests.gamma_rows import DATA, event_row, market_row, recorded
from worker.discovery.file import FileDiscovery
from worker.discovery.found import Resolution


def lines(*rows: object) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows) + b"\n"


E1, E2 = event_row("one", market_row("a"), market_row("b")), event_row("two", market_row("c"))
LOOSE = market_row("d")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (json.dumps([E1, E2], indent=2).encode(), "abc"),
        (json.dumps([LOOSE, {**market_row("a"), "events": [E1]}]).encode(), "ad"),
        (json.dumps({"events": [E1, E2]}).encode(), "abc"),
        (json.dumps({"events": [E2], "pagination": {"hasMore": True}}).encode(), "c"),
        (json.dumps({"markets": [LOOSE], "next_cursor": "x"}).encode(), "d"),
        (json.dumps(E1, indent=2).encode(), "ab"),
        (json.dumps(LOOSE).encode(), "d"),
        (lines(E1, LOOSE), "abd"),
        (lines([E1], {"events": [E2]}), "abc"),
        (b"\n\n" + lines(LOOSE), "d"),
    ],
)
async def test_files_of_every_shape(tmp_path: Path, content: bytes, names: str) -> None:
    path = tmp_path / "markets.json"
    path.write_bytes(content)
    found = await FileDiscovery(path, partitions=64).fetch()
    assert sorted(one.slug for one in found.markets) == [f"will-{name}-happen" for name in names]
    assert (found.refused, found.complete) == ([], True)


async def test_every_recorded_file_can_be_the_catalog() -> None:
    for folder in ("gamma", "gamma_constructed"):
        for path in sorted((DATA / folder).glob("*.json")):
            found = await FileDiscovery(path, partitions=64).fetch()
            rows = sum(name == path.name for name, _, _ in recorded(folder))
            if path.name != "tags.json":
                assert len(found.markets) + len(found.refused) == rows, path.name
            else:
                assert found.markets == []
                assert found.refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds neither events nor markets"),
        (b"[]", "holds neither events nor markets"),
        (b'{"events": []}', "holds neither events nor markets"),
        (json.dumps([E1], indent=2).encode()[:-3], r"line \d+: not JSON"),
        (lines(E1) + b"{broken\n" + lines(E2), "line 2: not JSON"),
    ],
)
async def test_a_file_that_is_no_catalog_says_where(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "markets.json"
    path.write_bytes(content)
    with pytest.raises(DiscoveryError, match=reason) as caught:
        await FileDiscovery(path, partitions=64).fetch()
    assert str(path) in str(caught.value)


async def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(DiscoveryError, match="cannot be read"):
            await FileDiscovery(path, partitions=64).fetch()


async def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.discovery.file.MAX_FILE_BYTES", 10)
    path = tmp_path / "markets.json"
    path.write_bytes(json.dumps([E1]).encode())
    with pytest.raises(DiscoveryError, match="more than 10; not read"):
        await FileDiscovery(path, partitions=64).fetch()


async def test_a_file_tells_of_resolutions_when_it_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "markets.json"
    path.write_bytes(json.dumps([E1, LOOSE]).encode())
    discovery = FileDiscovery(path, partitions=64)
    asked = [LOOSE["conditionId"], E1["markets"][0]["conditionId"]]
    assert (await discovery.resolutions(asked)).over == {}
    done = {**LOOSE, "closed": True, "outcomePrices": '["0", "1"]'}
    event = {**E1, "markets": [{**E1["markets"][0], "closed": True}, E1["markets"][1]]}
    path.write_bytes(json.dumps([event, done]).encode())
    assert (await discovery.resolutions(asked)).over == {
        asked[0]: Resolution("resolved", 1),
        asked[1]: Resolution("closed", None),
    }
