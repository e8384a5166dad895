"""Live five-minute candles of one symbol: python candles_socket.py [host:port] [symbol] [messages]"""

from datetime import UTC, datetime

from connection import SYMBOL, messages

for candle in messages(f"/ws?symbol={SYMBOL}&timeframe=5&type=candles"):
    if candle["type"] != "candles":
        print(candle)
        continue
    opened = datetime.fromtimestamp(candle["timestamp"] / 1000, UTC)
    state = "closed" if candle["closed"] else "open" if candle["live"] else "NOT LIVE"
    prices = " ".join(f"{name[0].upper()} {candle[name]}" for name in ("open", "high", "low", "close"))
    print(f"{candle['symbol']} {opened:%H:%M} {prices} V {candle['volume']} {state}", flush=True)
