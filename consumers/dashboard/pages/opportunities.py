"""Page 3: opportunities that are open, and those that were."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from consumers.dashboard.found import Found, Leg
from consumers.dashboard.names import short_name
from consumers.dashboard.opportunities import Opportunity
from consumers.dashboard.pages.cells import (
    GOOD,
    QUIET,
    WARN,
    Cell,
    Column,
    Line,
    Look,
    blank,
    centred,
    head,
    line,
    row,
)
from consumers.dashboard.pages.figures import NOTHING, cents, size, span
from consumers.dashboard.plain import cells, shorten
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
ENGINE_SILENT_AFTER_MS: Final = 3_000
_WIDE: Final = 112
_LEG_CELLS: Final = 18


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """Narrow screens leave out what the detail below tells."""
    wide = width >= _WIDE
    return (
        Column("", 6),
        Column("kind", 12),
        Column("event", 0, weight=3, most=60),
        *([Column("legs", 0, weight=4, most=120)] if wide else [Column("legs", 4, right=True)]),
        Column("net $", 8, right=True),
        Column("bps", 7, right=True),
        Column("size", 5, right=True),
        Column("lasts", 5, right=True),
        *([Column("closed", 8)] if wide else []),
        *([Column("guarantee", 24 if width >= 160 else 11)] if wide else [Column("guarantee", 10)]),
    )


def listed(state: State) -> list[tuple[str, Opportunity]]:
    """Keys of the rows and what they show: open ones first."""
    known = state.opportunities
    return [(one.key, one) for one in (*known.open, *known.closed)]


def leg_lines(height: int) -> int:
    """Lines at the bottom: what the marked one is worth, and its legs, of which there may be nine."""
    return min(10, max(height - TITLE_LINES - 4, 5))


def list_height(height: int) -> int:
    """Rows that fit above the legs."""
    return max(height - TITLE_LINES - leg_lines(height) - 1, 1)


def opportunities(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """The visible part of the list, and the legs of the marked one."""
    table, rows = columns(look.width), listed(state)
    lines = [head(table, look)]
    if not rows:
        return lines + centred(_nothing(state, look), look, height - TITLE_LINES)
    vouched = not state.away and _silence(state, look) is None
    room = list_height(height)
    place = ui.place
    key = place.key or rows[min(place.top, len(rows) - 1)][0]
    for row_key, one in rows[place.top : place.top + room]:
        lines.append(
            row(_cells(state, one, look), table, look, marked=row_key == place.key, faded=not vouched)
        )
    lines.extend(blank(look) for _ in range(TITLE_LINES + room - len(lines)))
    chosen = next((one for row_key, one in rows if row_key == key), rows[0][1])
    lines.append(_rule(state, look))
    lines.extend(_legs(state, chosen, look, leg_lines(height)))
    return (lines + [blank(look)] * height)[:height]


def _silence(state: State, look: Look) -> int | None:
    """For how many milliseconds no engine was heard (0: there is none); None: it runs, or is not known yet."""
    engine = state.engine
    if engine is None or not engine.heard_ms:
        return None if engine is None else 0
    silent_ms = look.now_ms - state.behind_ms - engine.heard_ms
    return silent_ms if silent_ms > ENGINE_SILENT_AFTER_MS else None


def _nothing(state: State, look: Look) -> list[Cell]:
    if state.engine is None:
        return [("looking for opportunities", QUIET)]
    if _silence(state, look) is None:
        return [("the engine runs; it has found nothing in the last hour", "")]
    return [
        (f"{_unheard(state, look)}, and nothing was found in the last hour", ""),
        ("start one: bookstream arbitrage", QUIET),
    ]


def _rule(state: State, look: Look) -> Line:
    if _silence(state, look) is None:
        return line([(look.glyphs.rule * look.width, QUIET)], look)
    doubt = ": what is open may be over" if state.opportunities.open else ""
    return line(
        [(f" {_unheard(state, look)}{doubt}", WARN), ("; start one: bookstream arbitrage", QUIET)], look
    )


def _unheard(state: State, look: Look) -> str:
    silent_ms = _silence(state, look)
    return f"the engine was last heard of {span(silent_ms)} ago" if silent_ms else "no engine is running"


def _cells(state: State, one: Opportunity, look: Look) -> list[Cell]:
    wide, priced = look.width >= _WIDE, one.last_priced
    is_open = one.newest.action != "close"
    age_ms = look.now_ms - state.behind_ms - one.opened_ms if is_open else one.lasted_ms
    plainly = "" if is_open else QUIET
    names = " + ".join(_short_name(state, leg, look) for leg in priced.legs) if wide else ""
    return [
        ("open" if is_open else "closed", f"bold {GOOD}" if is_open else QUIET),
        (priced.kind, plainly),
        (_event(state, priced), plainly),
        (names if wide else str(len(priced.legs)), QUIET),
        (cents(priced.net), f"bold {GOOD}" if is_open else QUIET),
        (priced.bps, plainly),
        (size(priced.size) if priced.size else "", plainly),
        (_lasted(age_ms), plainly),
        *([("" if is_open else look.clock(one.newest.id.ms + state.behind_ms), QUIET)] if wide else []),
        (priced.guarantee, QUIET),
    ]


def _event(state: State, found: Found) -> str:
    known = state.markets.get(found.legs[0].market) if found.legs else None
    return known.event or known.question if known is not None else found.event


def _lasted(ms: int) -> str:
    return f"{ms}ms" if 0 <= ms < 1000 else span(ms)


def _legs(state: State, one: Opportunity, look: Look, height: int) -> list[Line]:
    priced = one.last_priced
    total = f" payout {priced.payout}  cost {priced.cost}  fees {priced.fees}  net {priced.net}"
    if one.newest.action == "close":
        total += f"  closed: {one.newest.reason}" if one.newest.reason else "  closed"
        total += f"  lasted {_lasted(one.lasted_ms)}" + (
            f"  best {one.newest.best}" if one.newest.best else ""
        )
    if priced.ties:
        total += f"  pays on a strike {priced.ties}"
    lines = [line([(total, "bold")], look)]
    shown = priced.legs[: height - 1]
    for at, leg in enumerate(shown):
        more = len(priced.legs) - len(shown) if at == height - 2 else 0
        amount = size(leg.size) if leg.size else ""
        text = f" buy {amount:>5} x {leg.price or NOTHING:<7} "
        rest = f"  and {more} more" if more else ""
        name = _leg_name(state, leg, look.width - len(text) - len(rest), look)
        lines.append(line([(text + name, ""), (rest, QUIET)], look))
    return lines


def _leg_name(state: State, leg: Leg, room: int, look: Look) -> str:
    known = state.markets.get(leg.market)
    if known is None:
        return leg.market[:12]
    outcome = f"{known.outcomes[leg.outcome]} " if leg.outcome is not None else ""
    return outcome + short_name(known, room - cells(outcome), look.glyphs.ellipsis, look.glyphs.dot)


def _short_name(state: State, leg: Leg, look: Look) -> str:
    known = state.markets.get(leg.market)
    if known is None or leg.outcome is None:
        return leg.market[:12]
    name = f"{known.outcomes[leg.outcome]} {shorten(known.title, _LEG_CELLS, look.glyphs.ellipsis)}"
    return f"{name} {leg.price or NOTHING}"
