"""Hourly candles with indicators, one symbol: python chart_data_socket.py [host:port] [symbol] [messages]"""

from connection import SYMBOL, messages

wanted = {"action": "subscribe", "symbol": SYMBOL, "timeframe": "1h", "indicators": ["ema:50", "rsi", "macd"]}
for message in messages("/ws/chart-data", wanted):
    data = message.get("data", {})
    if message["type"] == "price_update":
        closed = "closed" if data["closed"] else "live" if data["live"] else "NOT LIVE"
        print(f"{message['symbol']} {message['timeframe']} {data['close']} {closed}", flush=True)
    elif message["type"] == "indicator_update":
        print(f"  {message['indicator']}: {data['value']}", flush=True)
    else:
        print(message, flush=True)
