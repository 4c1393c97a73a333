"""The lines at the top of every page: the word, and the figures behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumers.dashboard.choices import PAGES, RISING
from consumers.dashboard.health import Health
from consumers.dashboard.pages.cells import (
    BAD,
    GOOD,
    QUIET,
    SPECIAL,
    WARN,
    Cell,
    Line,
    Look,
    line,
    spread_out,
)
from consumers.dashboard.pages.figures import NOTHING, count, memory, millis, per_s, span
from consumers.dashboard.pages.glyphs import sparkline
from consumers.dashboard.plain import cells as width_of
from consumers.dashboard.plain import plain
from consumers.dashboard.state import SPARK_S, State
from consumers.dashboard.ui import Ui

HEIGHT: Final = 4

_BADGES: Final = {
    "LIVE": "bold white on green4",
    "DEGRADED": "bold black on yellow",
    "DOWN": "bold white on red3",
    "WAIT": "bold white on grey35",
}
_WIDE: Final = 112
_PENDING_IS_NEWS: Final = 1_000
_CLOCK: Final = 9
_NAMES: Final = {
    "books": "Books",
    "connections": "Connections",
    "opportunities": "Opportunities",
    "groups": "Groups",
    "log": "Log",
}


def header(state: State, health: Health, ui: Ui, look: Look) -> list[Line]:
    """Four lines: the word; what flows; who makes it flow; the pages.

    Args:
        state: what is shown.
        health: of this moment, also over a picture that is held.
        ui, look: by whom and on what.
    """
    return [_word(state, health, ui, look), _flow(state, look), _parts(state, look), _tabs(ui, look)]


def _word(state: State, health: Health, ui: Ui, look: Look) -> Line:
    left: list[Cell] = []
    if ui.paused:
        held = f" PAUSED since {look.clock(look.now_ms)} ({span(look.wall_ms - look.now_ms)}) "
        left.append((held, "bold black on cyan"))
    if not (ui.paused and health.word == "LIVE"):
        # However still the picture is held, that the data has stopped is told.
        left.append((f" {health.word} ", _BADGES[health.word]))
    if health.old and not ui.paused:
        # Before the reason, which may be long.
        left.append((f" {health.old}:", "bold"))
    if health.why:
        left.append((f" {plain(health.why)}", "bold"))
        if health.more:
            left.append((f", {health.more} more", ""))
        todo = f" {look.glyphs.dot} {health.todo}"
        if health.todo and _length(left) + width_of(todo) + _CLOCK <= look.width:
            left.append((todo, ""))
    elif ui.paused:
        left.append((" p goes on", QUIET))
    elif health.word == "LIVE":
        left.append(
            (
                " every token is live"
                if not state.vitals.unlisted
                else " all tokens that have a book are live",
                "",
            )
        )
    right: list[Cell] = [(f" {look.clock(look.wall_ms)}", "")]
    room = look.width - _length(left) - _CLOCK
    if room > len(state.title) + 2:
        right.insert(0, (f"{plain(state.title)} ", QUIET))
    return spread_out(left, right, look)


def _flow(state: State, look: Look) -> Line:
    vitals = state.vitals
    wide = look.width >= _WIDE
    gaps = vitals.gaps_last_minute
    unit = " ms" if wide else "ms"
    before: list[Cell] = [(f" {per_s(vitals.updates_per_s):>6}", "bold"), (" updates/s ", QUIET)]
    after: list[Cell] = [
        ("   latency p50 " if wide else " p50 ", QUIET),
        (f"{millis(vitals.p50_ms):>5}{unit}", ""),
        (" p99 ", QUIET),
        (f"{millis(vitals.p99_ms):>5}{unit}", WARN if (vitals.p99_ms or 0) > 1000 else ""),
        (f"{'   ' if wide else ' '}{count(gaps):>3}", BAD if gaps else QUIET if gaps is None else GOOD),
        (" gaps in the last minute" if wide else " gaps/min", QUIET),
    ]
    if wide and vitals.pending >= _PENDING_IS_NEWS:
        after += [("   ", ""), (f"{count(vitals.pending):>5}", WARN), (" wait for Redis", QUIET)]
    room = look.width - 1 - sum(len(text) for text, _ in (*before, *after))
    room = min(room, SPARK_S)
    return line([*before, (sparkline(list(vitals.history), room, look.glyphs), SPECIAL), *after], look)


def _parts(state: State, look: Look) -> Line:
    redis: list[Cell] = [(" Redis ", QUIET), *_redis(state, look.width >= _WIDE, look.width), (" ", "")]
    room = look.width - _length(redis)
    # The first one that has room, so that no number ever stands beside the word of another.
    parts: list[Cell] = []
    for shape in _shapes(look.width >= _WIDE):
        parts = _who(state, shape)
        if _length(parts) <= room:
            break
    else:
        # Of Redis' troubles the word tells.
        redis = []
    return spread_out(parts, redis, look)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How much the line of parts says: whole words; how many are zero; tokens that the venue has no book of."""

    wide: bool
    zeros: bool
    unlisted: bool
    tight: bool = False


def _shapes(wide: bool) -> list[_Shape]:
    narrow = [
        _Shape(False, True, False),
        _Shape(False, False, False),
        _Shape(False, False, False, tight=True),
    ]
    if not wide:
        return narrow
    return [_Shape(True, True, True), _Shape(True, False, True), _Shape(True, False, False), *narrow]


def _length(cells: Sequence[Cell]) -> int:
    return sum(width_of(text) for text, _ in cells)


def _who(state: State, shape: _Shape) -> list[Cell]:
    vitals, wide = state.vitals, shape.wide
    between = ("   " if wide else " " if shape.tight else "  ", "")
    parts: list[Cell] = [(" workers " if wide else " work ", QUIET), *_workers(state, wide), between]
    live = vitals.connections.get("live", 0) if state.looked else None
    tokens = vitals.live if state.looked else None
    parts += [
        ("connections " if wide else "conn ", QUIET),
        (f"{count(live):>2}", GOOD if live else ""),
    ]
    others = {
        name: number for name, number in sorted(vitals.connections.items()) if name != "live" and number
    }
    if wide:
        parts.append((" live", QUIET))
        for name, number in others.items():
            parts += [(f" {number}", WARN), (f" {plain(name)[:20]}", QUIET)]
    else:
        parts.append((f"+{sum(others.values())}" if others else "" if shape.tight else "  ", WARN))
    parts += [
        between,
        ("tokens " if wide else "tok ", QUIET),
        (f"{count(tokens):>{1 if shape.tight else 5}}", GOOD if tokens else BAD if state.looked else QUIET),
        (" live", QUIET),
    ]
    if vitals.stale or shape.zeros:
        parts += _bad_tokens(vitals.stale, "stale", wide)
    if vitals.quarantined or shape.zeros:
        parts += _bad_tokens(vitals.quarantined, "quarantined" if wide else "quar", wide)
    if vitals.waiting:
        parts += [(f" {count(vitals.waiting)}", WARN), (" waiting" if wide else " wait", QUIET)]
    if vitals.unlisted and shape.unlisted:
        parts.append((f" {count(vitals.unlisted)} without a book", QUIET))
    return parts


def _workers(state: State, wide: bool) -> list[Cell]:
    workers = state.vitals.workers
    running = workers.get("running", 0)
    if not workers:
        return [("none", BAD) if state.looked else (NOTHING, QUIET)]
    if not wide:
        others = sum(workers.values()) - running
        silent = workers.get("silent", 0)
        return [
            (f"{running}", GOOD if running else BAD),
            (f"+{others}" if others else "  ", BAD if silent else QUIET),
        ]
    cells: list[Cell] = [(f"{running}", GOOD if running else BAD), (" running", QUIET)]
    for name, number in sorted(workers.items()):
        if name != "running" and number:
            cells.append(
                (
                    f" {number} {'standing by' if name == 'standby' else name}",
                    BAD if name == "silent" else QUIET,
                )
            )
    return cells


def _bad_tokens(number: int | None, name: str, wide: bool) -> list[Cell]:
    style = QUIET if not number else BAD
    return [(f" {count(number):>{3 if wide else 1}}", style), (f" {name}", QUIET)]


def _redis(state: State, wide: bool, screen_width: int) -> list[Cell]:
    if state.away:
        return [("away", BAD)]
    server = state.server
    if server is None:
        return [(NOTHING, QUIET)]
    nearly = bool(server.max_bytes) and server.used_bytes > 0.9 * server.max_bytes
    used = f"{memory(server.used_bytes):>7}" if wide else memory(server.used_bytes).replace(" ", "")
    cells: list[Cell] = [(used, WARN if nearly else "")]
    if server.max_bytes and screen_width >= 132:
        cells.append((f" of {memory(server.max_bytes)}", QUIET))
    if server.trouble:
        cells.append((f" {server.trouble}", BAD))
    elif screen_width >= 140:
        cells.append((" answers", QUIET))
    return cells


def _tabs(ui: Ui, look: Look) -> Line:
    names = _NAMES if look.width >= 76 else {name: text[:4] for name, text in _NAMES.items()}
    left: list[Cell] = []
    for number, name in enumerate(PAGES, 1):
        chosen = name == ui.page
        left += [(f" {number} {names[name]} ", "bold reverse" if chosen else QUIET), (" ", "")]
    return spread_out(left, _asked(ui, look), look)


def _asked(ui: Ui, look: Look) -> list[Cell]:
    if ui.page != "books" or ui.opened:
        return []
    sign = look.glyphs.up if (ui.sort in RISING) != ui.backwards else look.glyphs.down
    return [("by ", QUIET), (f"{ui.sort}{sign}", "bold"), (" ", "")]
