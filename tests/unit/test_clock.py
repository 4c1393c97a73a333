"""The clock of all deadlines: right while the machine's is, and moving while the machine's is wrong."""

from __future__ import annotations

import time

from marketdata.clock import SteadyClock, now_ms, now_us

S = 1_000_000_000
HOUR = 3_600 * S


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.wall_ns = 1_790_000_000 * S
        self.steady_ns = 5 * S
        self.clock = SteadyClock(lambda: self.wall_ns, lambda: self.steady_ns)

    def passes(self, ns: int) -> int:
        """Time passes; returns what the clock says then."""
        self.wall_ns += ns
        self.steady_ns += ns
        return self.clock.now_ns()


def test_it_says_what_the_machine_says() -> None:
    machine = Machine()
    for _ in range(100):
        assert machine.passes(S // 7) == machine.wall_ns


def test_a_step_forward_is_followed_at_once() -> None:
    machine = Machine()
    machine.wall_ns += HOUR
    assert machine.passes(S) == machine.wall_ns


def test_after_a_step_back_time_still_passes_at_half_speed_until_the_machine_has_caught_up() -> None:
    machine = Machine()
    before_ns = machine.passes(S)
    machine.wall_ns -= HOUR
    assert machine.clock.now_ns() == before_ns
    assert machine.passes(2 * S) == before_ns + S
    for _ in range(10):
        last_ns = machine.clock.now_ns()
        assert machine.passes(HOUR // 10) == last_ns + HOUR // 20
    for _ in range(12):
        machine.passes(HOUR // 10)
    assert machine.clock.now_ns() == machine.wall_ns


def test_many_readings_in_a_row_do_not_stop_it() -> None:
    machine = Machine()
    machine.wall_ns -= HOUR
    began_ns = machine.clock.now_ns()
    for _ in range(1_000):
        machine.passes(1_000)
    assert machine.clock.now_ns() == began_ns + 500_000


def test_the_real_one_is_the_machine_s() -> None:
    assert abs(now_us() - time.time_ns() // 1_000) < 1_000_000
    assert abs(now_ms() - time.time_ns() // 1_000_000) < 1_000
