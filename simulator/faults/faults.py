"""All faults of a venue: the conduct that carries them out, injects them in time and remembers them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from heapq import merge
from typing import Any, Final

import structlog
from aiohttp import web

from marketdata.clock import now_ms
from marketdata.errors import FaultError
from simulator.faults.answers import answered
from simulator.faults.behaviour import Behaviour
from simulator.faults.case import Case, Stage, State
from simulator.faults.fault import KINDS, Fault
from simulator.faults.kinds import BEHAVIOURS
from simulator.faults.reading import by_time
from simulator.faults.schedule import random_faults
from simulator.faults.whom import resolved
from simulator.feed import Frame
from simulator.venue.conduct import Handler, Line, Refusal

MAX_ACTIVE: Final = 1_000
LOG_KEPT: Final = 10_000
GIVES_UP_S: Final = 60.0
"""A fault whose `for_s` is the length of an act ends so long after it could have been over, done or not."""

_log = structlog.stdlib.get_logger("simulator")


class Faults:
    """Faults on demand. Give it to the service, then `inject` at any time from the same event loop.

    Args:
        seed: of all that happens by chance; the same seed and calls make the same choices.
        schedule: begin at their `at_s` after `play` was called.
        rate_a_minute: of faults by chance besides, of all kinds that a client must heal from.
        clock_ms: Unix milliseconds.

    Attributes:
        idle: nothing is active.
    """

    def __init__(
        self,
        *,
        seed: int,
        schedule: Iterable[Fault] = (),
        rate_a_minute: float = 0.0,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.seed = seed
        self.idle = True
        self.skipped = 0
        self._schedule = by_time(tuple(schedule))
        self._rate_a_minute = rate_a_minute
        self._clock_ms = clock_ms
        self._random = random.Random(f"{seed} acts")
        self._stage = Stage(lambda: tuple(self._lines.values()), self._later, self._random, clock_ms)
        self._lines: dict[int, Line] = {}
        self._cases: deque[Case] = deque(maxlen=LOG_KEPT)
        self._waiting: dict[int, Case] = {}
        self._live: dict[int, Behaviour] = {}
        self._injected = 0

    # -- asked for from outside -----------------------------------------------------------------------------

    def inject(self, fault: Fault) -> int:
        """Begins a fault, after its `at_s`; returns its id.

        One for "any" whom waits until somebody is subscribed.

        Raises:
            FaultError: too many are active; nothing was injected.
        """
        self._check_room(1)
        self._injected += 1
        case = Case(self._injected, fault)
        self._cases.append(case)
        self._waiting[case.id] = case
        if fault.at_s > 0:
            self._later(fault.at_s, lambda: self._begin(case))
        else:
            self._begin(case)
        return case.id

    def inject_all(self, faults: Iterable[Fault]) -> list[int]:
        """Begins all of them or none; returns their ids. Raises as `inject`."""
        wanted = tuple(faults)
        self._check_room(len(wanted))
        return [self.inject(fault) for fault in wanted]

    def remove(self, fault_id: int) -> bool:
        """Ends a fault that waits or is active; False: there is none of this id."""
        return self._end(fault_id, "removed")

    def remove_all(self) -> int:
        """Ends all; returns how many there were."""
        ids = [*self._waiting, *self._live]
        return sum(self.remove(fault_id) for fault_id in ids)

    def active(self) -> list[Case]:
        """Those that wait or act, oldest first."""
        cases = [*self._waiting.values(), *(one.case for one in self._live.values())]
        return sorted(cases, key=lambda case: case.id)

    def log(self, since_id: int = 0) -> list[Case]:
        """The newest 10,000, oldest first, from an id on."""
        return [case for case in self._cases if case.id >= since_id]

    @property
    def injected(self) -> int:
        """How many there were; the id of the newest."""
        return self._injected

    async def play(self) -> None:
        """Injects what is scheduled, and by chance, until there is nothing more."""
        clock = asyncio.get_running_loop().time
        began_s = clock()
        by_chance = random_faults(self._rate_a_minute, random.Random(f"{self.seed} schedule"))
        if self._schedule or self._rate_a_minute:
            _log.info(
                "faults are scheduled",
                fault_seed=self.seed,
                faults=len(self._schedule),
                by_chance_a_minute=self._rate_a_minute,
            )
        for fault in merge(self._schedule, by_chance, key=lambda one: one.at_s):
            await asyncio.sleep(max(0.0, began_s + fault.at_s - clock()))
            try:
                self.inject(fault.model_copy(update={"at_s": 0.0}))
            except FaultError as error:
                self.skipped += 1
                _log.warning("a fault was left out", reason=str(error), skipped=self.skipped)

    # -- as the hub asks ------------------------------------------------------------------------------------

    def refusal(self) -> Refusal | None:
        return self._first(lambda one: one.refusal())

    def accepted(self, line: Line) -> None:
        self._lines[line.number] = line
        for one in tuple(self._live.values()):
            one.accepted(line)
        self._sweep()

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        if self._waiting:
            # Not before the first books are on their way: whoever is chosen is a client like any other.
            self._later(0.0, self._start_waiting)
        for one in tuple(self._live.values()):
            one.subscribed(line, tokens)
        self._sweep()

    def shown(self, line: Line, tokens: tuple[str, ...]) -> tuple[str, ...]:
        live = tuple(self._live.values())
        left = tuple(token for token in tokens if all(one.shows(line, token) for one in live))
        self._sweep()
        return left

    def deliver(self, line: Line, frame: Frame) -> None:
        pieces, delay_s = [frame.data], 0.0
        for one in tuple(self._live.values()):
            pieces = [left for piece in pieces for left in one.passes(line, frame, piece)]
            delay_s = max(delay_s, one.delay_s(line, frame))
        for piece in pieces:
            line.queue(piece, delay_s)
        self._sweep()

    def gone(self, line: Line) -> None:
        self._lines.pop(line.number, None)
        for one in tuple(self._live.values()):
            one.gone(line)
        self._sweep()

    async def rest(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.idle:
            return await handler(request)
        refusal = self._first(lambda one: one.rest_refusal(request.path))
        response = await answered(request, handler, refusal, self._rest_book)
        self._sweep()
        return response

    # -- within ---------------------------------------------------------------------------------------------

    def _rest_book(self, book: dict[str, Any]) -> dict[str, Any]:
        for one in tuple(self._live.values()):
            book = one.rest_book(book)
        return book

    def _first(self, ask: Callable[[Behaviour], Refusal | None]) -> Refusal | None:
        answer = next((found for one in tuple(self._live.values()) if (found := ask(one)) is not None), None)
        self._sweep()
        return answer

    def _begin(self, case: Case) -> None:
        if case.id in self._waiting:
            case.began_ms = self._clock_ms()
            self._start(case)

    def _start_waiting(self) -> None:
        for case in tuple(self._waiting.values()):
            if case.began_ms is not None:
                self._start(case)

    def _start(self, case: Case) -> None:
        fault = resolved(case.fault, tuple(self._lines.values()), self._random)
        if fault is None:
            return
        case.fault = fault
        case.began_ms = self._clock_ms()
        case.state = "active"
        del self._waiting[case.id]
        self._live[case.id] = one = BEHAVIOURS[fault.kind](case, self._stage)
        self.idle = False
        _log.info("a fault begins", id=case.id, fault=fault.told(), fault_seed=self.seed)
        one.begin()
        times_itself = KINDS[fault.kind].times_itself
        if fault.for_s is not None and not times_itself:
            self._later(fault.for_s, lambda: self._end(case.id, "over"))
        elif fault.kind == "crossed":
            self._later((fault.for_s or 0.0) + GIVES_UP_S, lambda: self._end(case.id, "over"))
        self._sweep()

    def _sweep(self) -> None:
        if not self.idle:
            for fault_id in [number for number, one in self._live.items() if one.done]:
                self._end(fault_id, "over")

    def _end(self, fault_id: int, state: State) -> bool:
        case = self._waiting.pop(fault_id, None)
        one = self._live.pop(fault_id, None)
        if one is not None:
            case = one.case
            self.idle = not self._live
            one.end()
        if case is None:
            return False
        case.state = state
        case.ended_ms = self._clock_ms()
        return True

    def _check_room(self, wanted: int) -> None:
        if len(self._waiting) + len(self._live) + wanted > MAX_ACTIVE:
            raise FaultError(f"more than {MAX_ACTIVE} faults would be active; nothing was injected")

    def _later(self, delay_s: float, call: Callable[[], object]) -> None:
        def due() -> None:
            call()
            self._sweep()

        asyncio.get_running_loop().call_later(delay_s, due)
