"""The stored screens of the dashboard: `python -m tests.dashboard_screens` draws them anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from consumers.dashboard.pages.frame import Frame, frame
from consumers.dashboard.picture import svg
from consumers.dashboard.state import State
from consumers.dashboard.ui import Place, Ui
from tests.dashboard_world import busy_state, look

FOLDER = Path(__file__).with_name("data") / "screens"
SIZES = ((80, 24), (120, 40), (200, 60))


def views(state: State) -> dict[str, Ui]:
    """Each page, as it is looked at."""
    third = state.order[2]
    return {
        "books": Ui(places={"books": Place(third)}),
        "market": Ui(opened=next(iter(state.markets))),
        "connections": Ui(page="connections", places={"connections": Place("alpha-1/c1")}),
        "opportunities": Ui(page="opportunities"),
        "groups": Ui(page="groups"),
        "log": Ui(page="log"),
        "help": Ui(help=True),
    }


def screens() -> Iterator[tuple[str, Frame, int]]:
    """Name, frame and width of each."""
    state = busy_state()
    for name, ui in views(state).items():
        for width, height in SIZES:
            yield f"{name}-{width}x{height}", frame(state, ui, look(width, height)), width
    filtered = Ui(sought="zzz", typing=True)
    state.rank("activity", filtered.sought, 0)
    yield "nothing-found-80x24", frame(state, filtered, look(80, 24)), 80
    yield "empty-80x24", frame(State("bookstream"), Ui(), look(80, 24)), 80
    state.rank("activity", "", 0)
    state.lost("Redis does not answer (Connection closed by server.)", look().now_ms)
    yield "away-120x40", frame(state, Ui(), replace(look(120, 40), wall_ms=look().now_ms + 4_000)), 120


def main() -> None:
    """Writes all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for name, made, width in screens():
        (FOLDER / f"{name}.svg").write_text(svg(made, width, name), encoding="utf-8")


if __name__ == "__main__":
    main()
