"""How indicators are asked for, and that what they need before a window is what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles.indicators import DEFAULT_SET, INDICATORS, InvalidIndicator, Series, compute, lead, parse, plain
from tests.candles.test_formulas import walk


def series(seed: int, count: int) -> Series:
    times, high, low, close, volume, buys = walk(seed, count)
    return Series(times, np.concatenate((close[:1], close[:-1])), high, low, close, volume, buys)


def test_a_request_keeps_how_it_was_asked():
    asked = parse(" SMA:20, rsi ,macd:12:26:9,bb:20:2.5,sma:20,")
    assert [request.label for request in asked] == ["sma:20", "rsi", "macd:12:26:9", "bb:20:2.5"]
    assert [request.values for request in asked] == [(20,), (14,), (12, 26, 9), (20, 2.5)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        (" , ", "at least one"),
        ("foo", "unknown indicator 'foo'"),
        ("sma:x", "period is a whole number, not 'x'"),
        ("sma:2.5", "period is a whole number"),
        ("sma:0", "period is from 1 to 1000, not 0"),
        ("sma:1001", "period is from 1 to 1000"),
        ("bollinger:20:nan", "deviations is from"),
        ("bollinger:20:inf", "deviations is from"),
        ("macd:26:12", "fast (26) has to be below slow (12)"),
        ("rsi:14:3", "too many parameters; it is rsi:period"),
        (",".join(f"sma:{i}" for i in range(1, 32)), "at most 30"),
    ],
)
def test_what_cannot_be_computed_says_why(text, says):
    with pytest.raises(InvalidIndicator) as error:
        parse(text)
    assert says in str(error.value)


def test_the_default_set_is_complete_and_its_warm_up_is_null():
    found = compute(series(1, 400), parse(DEFAULT_SET))
    assert len(found) == 17
    listed = plain(found["sma:200"], 400)
    assert listed[:199] == [None] * 199
    assert all(isinstance(value, float) for value in listed[199:])
    lines = plain(found["macd:12:26:9"], 10)
    assert {name: len(values) for name, values in lines.items()} == {"macd": 10, "signal": 10, "histogram": 10}


def test_no_candles_and_one_candle_have_values_for_every_indicator():
    for count in (0, 1, 2, 15):
        few = series(3, count)
        for request in parse(",".join(INDICATORS)):
            lines = compute(few, [request])[request.label]
            assert all(len(values) == count or name.startswith("ahead") for name, values in lines.items())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([name for name, one in INDICATORS.items() if not one.whole]))
def test_with_its_lead_a_window_is_what_it_would_be_with_any_history(seed, name):
    asked = parse(name)
    whole = series(seed, lead(asked) + 700)
    short = whole.tail(lead(asked) + 50)
    for line, values in compute(whole, asked)[name].items():
        if line in {"chikou"}:
            continue  # it is drawn back, from candles that both have
        other = compute(short, asked)[name][line]
        scale = np.nanmax(np.abs(values))
        assert np.allclose(values[-50:], other[-50:], rtol=1e-7, atol=1e-8 * scale, equal_nan=True)
