"""Fees are the venue's, exact, and never less than what is charged."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.arbitrage.fees import FREE, UNIT, Fees, charged_micros, fees_of, unit_cost
from marketdata.market import FeeSchedule

HUNDRED = 100_000_000


@pytest.mark.parametrize(
    ("rate", "exponent", "price", "fee"),
    [
        ("0.07", "1", "0.50", "1.75"),
        ("0.07", "1", "0.25", "1.3125"),
        ("0.07", "1", "0.75", "1.3125"),
        ("0.07", "1", "0.10", "0.63"),
        ("0.07", "1", "0.90", "0.63"),
        ("0.25", "2", "0.5", "1.5625"),
        ("0.25", "2", "0.3", "1.1025"),
        ("0.25", "2", "0.7", "1.1025"),
        ("0.25", "2", "0.1", "0.2025"),
        ("0.25", "2", "0.05", "0.05640625"),
        ("0.25", "2", "0.01", "0.00245025"),
    ],
)
def test_a_hundred_shares_cost_what_the_venues_page_says_rounded_up(
    rate: str, exponent: str, price: str, fee: str
) -> None:
    fees = fees_of(True, FeeSchedule(rate, exponent, True))
    assert isinstance(fees, Fees)
    charged = charged_micros(HUNDRED, int(Decimal(price) * 10**6), fees)
    assert Decimal(charged) / 10**6 == Decimal(fee).quantize(Decimal("0.00001"), rounding=ROUND_CEILING)


@given(
    size=st.integers(1, 10**13),
    price=st.integers(1, 10**6),
    rate=st.integers(0, 10**6),
    exponent=st.sampled_from([1, 2]),
)
def test_the_charge_is_exact_and_the_unit_cost_never_above_it(
    size: int, price: int, rate: int, exponent: int
) -> None:
    fees = Fees(rate, exponent)
    with localcontext() as context:
        context.prec = 80
        one = Decimal(10) ** -6
        exact = (size * one) * (rate * one) * ((price * one) * (1 - price * one)) ** exponent
        charged = charged_micros(size, price, fees)
        assert Decimal(charged) * one == exact.quantize(Decimal("0.00001"), rounding=ROUND_CEILING)
        share = price * one + (rate * one) * ((price * one) * (1 - price * one)) ** exponent
        assert share - Decimal(1) / UNIT < Decimal(unit_cost(price, fees)) / UNIT <= share


def test_the_least_fee_is_a_hundred_thousandth() -> None:
    assert charged_micros(10_000, 1_000, Fees(1, 2)) == 10
    assert charged_micros(HUNDRED, 500_000, FREE) == 0


def test_exponents_of_no_schedule_are_refused_with_a_reason() -> None:
    assert fees_of(True, FeeSchedule("0.07", "1.0", True)) == Fees(70_000, 1)
    assert fees_of(False, None) == FREE
    for schedule, why in [
        (FeeSchedule("0.07", "3", True), "exponent 3"),
        (FeeSchedule("0.07", "0.5", True), "exponent 0.5"),
        (FeeSchedule("0.0700001", "1", True), "rate cannot be read"),
        (None, "schedule is not known"),
    ]:
        refusal = fees_of(True, schedule)
        assert isinstance(refusal, str)
        assert why in refusal
