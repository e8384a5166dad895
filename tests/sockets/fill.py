"""Fills the database of the socket tests: fifty symbols collected on both markets, one book of each stored."""

import django

django.setup()

from datetime import UTC, datetime, timedelta  # noqa: E402

from depth.services import store_books  # noqa: E402
from markets.models import Symbol  # noqa: E402
from tests.depth.factories import collected  # noqa: E402
from tests.sockets.conftest import SYMBOLS  # noqa: E402

MARKETS = ("SPOT", "FUTURES")


def symbol(name, market, is_collected=True):
    base = {"base": name.removesuffix("USDT"), "quote": "USDT", "tick_size": "0.01", "lot_size": "0.00001"}
    return Symbol(market=market, name=name, status="TRADING", quote_volume=1e9, collected=is_collected, **base)


def fill():
    rows = [symbol(name, market) for name in SYMBOLS for market in MARKETS]
    rows += [symbol("IDLEUSDT", "SPOT", is_collected=False), symbol("NEWUSDT", "SPOT"), symbol("ONLYUSDT", "FUTURES")]
    Symbol.objects.bulk_create(rows)
    read_at = datetime.now(UTC) - timedelta(seconds=40)
    store_books([collected(read_at, symbol=name, market=market) for name in SYMBOLS for market in MARKETS])
    store_books([collected(read_at, symbol="ONLYUSDT", market="FUTURES")])


if __name__ == "__main__":
    fill()
