"""What cryptofeed does with a file of aggTrade frames: run by the measurement of trades, in the peers' own environment.

Its own parser, its own trade objects, its own PostgreSQL backend, as fast as they go. Prints one JSON line: seconds,
and how many trades are stored."""

import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
from cryptofeed.backends.postgres import TradePostgres
from cryptofeed.defines import BINANCE, TRADES
from cryptofeed.exchanges.binance import Binance

TABLE = """
    CREATE TABLE IF NOT EXISTS peer_trades (
        id serial PRIMARY KEY, timestamp TIMESTAMP, receipt_timestamp TIMESTAMP, exchange VARCHAR(32),
        symbol VARCHAR(32), side VARCHAR(8), amount NUMERIC(64, 32), price NUMERIC(64, 32), trade_id VARCHAR(64),
        order_type VARCHAR(32))
"""
BATCH = 10_000


async def main(path, database):
    parts = urlsplit(database)
    host = parts.hostname or parse_qs(parts.query).get("host", ["127.0.0.1"])[0]
    at = {"host": host, "port": parts.port or 5432, "user": parts.username, "password": parts.password}
    direct = await asyncpg.connect(**at, database=parts.path.lstrip("/"))
    await direct.execute(TABLE)
    at["pw"] = at.pop("password")
    backend = TradePostgres(**at, db=parts.path.lstrip("/"), table="peer_trades")
    backend.start(asyncio.get_running_loop())
    feed = Binance.__new__(Binance)  # its constructor asks the exchange for symbols
    feed.id, feed.callbacks, feed.requires_authentication = BINANCE, {TRADES: [backend]}, False
    feed.exchange_symbol_to_std_symbol = lambda name: f"{name[:-4]}-{name[-4:]}"
    frames = [line.decode() for line in Path(path).read_bytes().splitlines()]
    start = time.perf_counter()
    for first in range(0, len(frames), BATCH):
        for frame in frames[first : first + BATCH]:
            await feed.message_handler(frame, None, time.time())
        await backend.queue.join()
    seconds = time.perf_counter() - start
    stored = await direct.fetchval("SELECT count(*) FROM peer_trades")
    print(json.dumps({"seconds": seconds, "stored": stored}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
