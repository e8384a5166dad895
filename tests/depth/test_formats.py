"""Numbers as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth.formats import SUFFIXES, compact, decimals_of, diff_quality, fixed, percent, quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00001234, "0.00001234"),
        (0.1234, "0.1234"),
        (1, "1.000"),
        (9.9996, "10.00"),
        (12.345, "12.35"),
        (99.996, "100.0"),
        (999.94, "999.9"),
        (999.96, "1.000K"),
        (-1500, "-1.500K"),
        (12_345_678, "12.35M"),
        (9.87e9, "9.870B"),
        (1.5e15, "1500.0T"),
    ],
)
def test_compact(value, text):
    assert compact(value) == text


@given(st.floats(min_value=1, max_value=9e14))
def test_compact_keeps_four_digits(value):
    text = compact(value)
    suffix = text[-1] if text[-1].isalpha() else ""
    back = float(text.removesuffix(suffix)) * 1000 ** SUFFIXES.index(suffix)
    assert back == pytest.approx(value, rel=6e-4)
    assert float(text.removesuffix(suffix)) < 1000
    assert len(text.removesuffix(suffix)) == 5


@pytest.mark.parametrize(("step", "decimals"), [("0.01", 2), ("0.0000001", 7), ("1", 0), ("10", 0), ("0.50", 1)])
def test_decimals_of_a_step(step, decimals):
    assert decimals_of(Decimal(step)) == decimals


def test_prices_and_amounts():
    assert fixed(64812.3, 2) == "64,812.30"
    assert quantity(1234.5678, 3) == "1,234.568"
    assert quantity(12_345.6, 3) == "12.35K"
    assert percent(-3.14159, 1) == "-3.1"
    assert percent(0.0) == "+0.00"


@pytest.mark.parametrize(
    ("bid", "ask", "quality"),
    [(True, True, "exact"), (False, True, "least"), (True, False, "most"), (False, False, "unknown")],
)
def test_quality_of_diff(bid, ask, quality):
    """Bid known to be at least so much: DIFF is at least so much. Ask at least: DIFF is at most."""
    assert diff_quality(bid, ask) == quality
