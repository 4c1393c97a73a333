"""Numbers in Gamma's rows: exact where they count, lenient where they only rank."""

from __future__ import annotations

import pytest

from marketdata.errors import CatalogError
from marketdata.gamma_fields import decimal, figure


@pytest.mark.parametrize("value", [True, [], {}, "0.01 or so", "nan", "inf", "1e99"])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(CatalogError):
        decimal({"orderPriceMinTickSize": value}, "orderPriceMinTickSize")


@pytest.mark.parametrize(
    ("value", "spelled"), [(None, ""), ("", ""), (5, "5"), (0.010, "0.01"), ("5.0", "5")]
)
def test_a_number_is_spelled_without_needless_zeros(value: object, spelled: str) -> None:
    assert decimal({"size": value}, "size") == spelled


@pytest.mark.parametrize("value", [None, "", "many", True, -1, "-1", float("inf"), "nan", []])
def test_a_figure_that_is_none_gives_way_to_the_next_one(value: object) -> None:
    assert figure({"liquidityNum": value, "liquidity": "7.5"}, "liquidityNum", "liquidity") == 7.5
    assert figure({"liquidityNum": value}, "liquidityNum", "liquidity") == 0.0
