"""The smallest server that speaks Binance's spot REST: fixed books. Independent of the simulator."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class FixedBooks:
    """Serves each symbol's levels (bids and asks: pairs of strings, best first), cut to the limit that is asked for."""

    def __init__(self, books):
        self.books = books
        self.asked = {symbol: [] for symbol in books}
        handler = type("Handler", (Handler,), {"exchange": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, query):
        now = int(time.time() * 1000)
        if path == "/api/v3/ping":
            return 200, {}
        if path == "/api/v3/time":
            return 200, {"serverTime": now}
        if path == "/api/v3/exchangeInfo":
            listed = [listing(symbol) for symbol in self.books]
            return 200, {"timezone": "UTC", "serverTime": now, "rateLimits": [LIMIT], "symbols": listed}
        if path == "/api/v3/ticker/24hr":
            return 200, [
                {"symbol": symbol, "quoteVolume": "1000000.0", "lastPrice": bids[0][0]}
                for symbol, (bids, _) in self.books.items()
            ]
        if path == "/api/v3/depth":
            limit = int(query.get("limit", ["100"])[0])
            self.asked[query["symbol"][0]].append(limit)
            bids, asks = self.books[query["symbol"][0]]
            return 200, {"lastUpdateId": 42, "bids": bids[:limit], "asks": asks[:limit]}
        return 404, {"code": -1, "msg": "no such path"}


LIMIT = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}


def listing(symbol):
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "isSpotTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
        ],
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        status, body = self.exchange.answer(parts.path, parse_qs(parts.query))
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("X-MBX-USED-WEIGHT-1M", "50")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *arguments):
        pass
