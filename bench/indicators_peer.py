"""What `ta` (over pandas) does with a file of candles: run by the measurement of indicators, in the peer's environment.

Prints one JSON line: median seconds of the ten indicators, and the newest values of each line."""

import json
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import pandas as pd
import ta


def compute(frame):
    high, low, close, volume = frame["high"], frame["low"], frame["close"], frame["volume"]
    bands = ta.volatility.BollingerBands(close, 20, 2)
    macd = ta.trend.MACD(close, 26, 12, 9)
    stochastic = ta.momentum.StochasticOscillator(high, low, close, 14, 3)
    moved = ta.trend.ADXIndicator(high, low, close, 14)
    return {
        "sma:20": ta.trend.sma_indicator(close, 20),
        "ema:50": ta.trend.ema_indicator(close, 50),
        "bollinger:upper": bands.bollinger_hband(),
        "bollinger:lower": bands.bollinger_lband(),
        "rsi:14": ta.momentum.rsi(close, 14),
        "macd:macd": macd.macd(),
        "macd:signal": macd.macd_signal(),
        "stochastic:k": stochastic.stoch(),
        "stochastic:d": stochastic.stoch_signal(),
        "williams:14": ta.momentum.williams_r(high, low, close, 14),
        "atr:14": ta.volatility.average_true_range(high, low, close, 14),
        "adx:adx": moved.adx(),
        "obv": ta.volume.on_balance_volume(close, volume),
    }


def main(path, rounds):
    frame = pd.DataFrame(json.loads(Path(path).read_text()))
    compute(frame)
    taken = []
    for _ in range(int(rounds)):
        start = perf_counter()
        made = compute(frame)
        taken.append(perf_counter() - start)
    steps = made["obv"].diff().tail(5)
    told = {name: values.tail(5).tolist() for name, values in made.items()} | {"obv": steps.tolist()}
    print(json.dumps({"seconds": median(taken), "values": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
