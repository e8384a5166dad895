"""A client that others wrote for the real exchange, pointed at the simulator by its addresses only."""

import asyncio
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager, DepthCacheManager
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.simulator.conftest import Server
from tests.simulator.local_book import truth


@pytest.fixture
def client(server: Server) -> Client:
    made = Client(ping=False)
    made.API_URL = f"{server.url}/api"
    made.FUTURES_URL = f"{server.url}/fapi"
    return made


def test_python_binance_gets_books_candles_and_symbols(client: Client) -> None:
    assert client.ping() == {}
    assert client.get_server_time()["serverTime"] > 1_700_000_000_000
    assert client.get_symbol_info("BTCUSDT")["baseAsset"] == "BTC"
    assert len(client.get_exchange_info()["symbols"]) > 120
    book = client.get_order_book(symbol="BTCUSDT", limit=500)
    assert len(book["bids"]) == len(book["asks"]) == 500
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    assert len(client.get_klines(symbol="ETHUSDT", interval=Client.KLINE_INTERVAL_15MINUTE, limit=50)) == 50
    assert client.get_ticker(symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert float(client.get_symbol_ticker(symbol="BTCUSDT")["price"]) > 10_000
    assert len(client.get_orderbook_tickers()) > 120


def test_python_binance_follows_pages_of_history(client: Client) -> None:
    rows = client.get_historical_klines("SOLUSDT", Client.KLINE_INTERVAL_1MINUTE, "2 days ago UTC")
    opens = [row[0] for row in rows]
    assert 2879 <= len(rows) <= 2882
    assert opens == list(range(opens[0], opens[0] + len(opens) * 60_000, 60_000))


def test_python_binance_gets_futures(client: Client) -> None:
    assert client.futures_ping() == {}
    assert len(client.futures_exchange_info()["symbols"]) > 115
    book = client.futures_order_book(symbol="1000PEPEUSDT", limit=100)
    assert len(book["bids"]) == len(book["asks"]) == 100
    assert len(client.futures_klines(symbol="BTCUSDT", interval="1h", limit=1500)) == 1500
    assert float(client.futures_open_interest(symbol="BTCUSDT")["openInterest"]) > 0
    assert client.futures_mark_price(symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert client.futures_ticker(symbol="ETHUSDT")["symbol"] == "ETHUSDT"


def test_python_binance_understands_the_refusals(client: Client, server: Server) -> None:
    with pytest.raises(BinanceAPIException) as unknown:
        client.get_order_book(symbol="NOPEUSDT")
    assert (unknown.value.code, unknown.value.status_code) == (-1121, 400)
    server.fault(kind="429", count=1)
    with pytest.raises(BinanceAPIException) as limited:
        client.futures_order_book(symbol="BTCUSDT")
    assert (limited.value.code, limited.value.status_code) == (-1003, 429)


def test_python_binances_order_book_is_the_exchanges(server: Server) -> None:
    async def follow() -> tuple[int, Any, Any]:
        client = AsyncClient()
        client.API_URL = f"{server.url}/api"
        sockets = BinanceSocketManager(client)
        sockets.STREAM_URL = f"ws://127.0.0.1:{server.port}/"
        try:
            async with DepthCacheManager(client, "SUIUSDT", bm=sockets, limit=5000, ws_interval=100) as manager:
                for _ in range(12):
                    book = await manager.recv()
                return manager._last_update_id, book.get_bids(), book.get_asks()
        finally:
            await client.close_connection()

    update_id, *sides = asyncio.run(asyncio.wait_for(follow(), 20))
    for told, expected in zip(sides, truth("SUIUSDT", "spot", update_id), strict=True):
        assert {price: quantity for price, quantity in told} == expected  # noqa: C416 - pairs are lists


def test_python_binance_hears_both_routes_of_futures(server: Server) -> None:
    async def hear() -> dict[str, str]:
        client = AsyncClient()
        sockets = BinanceSocketManager(client)
        sockets.FSTREAM_URL = f"ws://127.0.0.1:{server.port}/"
        heard = {}
        try:
            for category, name in (("market", "btcusdt@aggTrade"), ("public", "btcusdt@depth@100ms")):
                async with sockets.futures_multiplex_socket([name], category=category) as socket:
                    message = await socket.recv()
                    heard[message["stream"]] = message["data"]["e"]
        finally:
            await client.close_connection()
        return heard

    heard = asyncio.run(asyncio.wait_for(hear(), 20))
    assert heard == {"btcusdt@aggTrade": "aggTrade", "btcusdt@depth@100ms": "depthUpdate"}
