"""The REST API in six questions: python rest_api.py [host:port] [symbol]"""

import sys
from typing import Any

import requests

HOST = sys.argv[1] if len(sys.argv) > 1 else "localhost:8000"
SYMBOL = sys.argv[2] if len(sys.argv) > 2 else "BTCUSDT"


def get(resource: str, **asked: str | int) -> dict[str, Any]:
    """An answer's body. A refusal says why; 429 and 503 say when to come again."""
    answer = requests.get(f"http://{HOST}/api/v1/{resource}", params=asked, timeout=10)
    body: dict[str, Any] = answer.json()
    if not answer.ok and resource != "health":
        sys.exit(f"{resource}: {answer.status_code} {body['code']}: {body['error']}")
    return body


print("health:", get("health")["status"])
print("collected:", len(get("symbols", collected="true")["symbols"]), "symbols")
for candle in get("candles", symbol=SYMBOL, timeframe="1H", limit=3)["candles"]:
    print("candle:", candle["timestamp"], candle["open"], candle["close"], "closed" if candle["closed"] else "open")
price = get("price", symbol=SYMBOL, timeframe="1D")
print(f"price: {price['price']} ({price['changePercent']:+.2f} % today, {price['trend']})")
rsi = get("indicators", symbol=SYMBOL, timeframe="1", indicators="rsi:14", limit=1)["indicators"]["rsi:14"]
print("rsi:", rsi[-1])
for band in get("binance/spot", symbol=SYMBOL)["depthVolumes"]:
    least = "" if band["bidComplete"] and band["askComplete"] else " (at least)"
    print(f"within {band['depth']} %: bid {band['totalBidValue']:,.0f}, ask {band['totalAskValue']:,.0f}{least}")
