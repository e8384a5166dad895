"""Futures events with everything failing at once: what came over the socket is stored, and what did not is fetched.

EVENT_OUTAGES="120,60" keeps the database away for two minutes and Redis for one."""

import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from django.db import connection

from collector import futures_tasks
from collector.feed.run import Feed
from depth import intake
from depth.services import replay, spool_state
from derivatives import services
from derivatives.events import ForcedOrder, Mark, Trade
from derivatives.models import ForceOrder, MarkPrice, TradeGap
from derivatives.models import Trade as TradeRow
from markets.storage import DATABASE_AWAY
from simulator.market import liquidations_between
from tests.collector.conftest import forgetful, live, simulator  # noqa: F401 - fixtures
from tests.collector.feeding import KEYS, MARKETS, NAMES, running, until
from tests.collector.test_tape import gapless, ms, stored
from tests.web_process import ROOT

DATABASE_AWAY_FOR, REDIS_AWAY_FOR = map(float, os.environ.get("EVENT_OUTAGES", "4,3").split(","))
KINDS = ("@aggTrade", "markPrice", "forceOrder")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500 + 3 * int(DATABASE_AWAY_FOR + REDIS_AWAY_FOR)),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def exchange(live, servers, settings, monkeypatch):  # noqa: F811
    """The simulated exchange with all event streams, and a database that remembers its last moment."""
    monkeypatch.setattr(intake, "BACK_OFF", (0.05, 0.1, 0.2))
    monkeypatch.setattr(intake, "PATIENCE", 2.0)
    settings.STREAM_KINDS = {"SPOT": {"aggTrade"}, "FUTURES": {"aggTrade", "markPrice", "forceOrder"}}
    settings.TRADE_SYMBOLS = "live"
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    connection.close()
    yield live
    servers.redis.start()
    servers.postgres.start()
    connection.close()


class Heard:
    """What came over the feed's sockets, by what makes it itself."""

    def __init__(self, tape):
        self.trades, self.marks, self.forced = {}, {}, {}
        for basket in (tape.trades, tape.marks, tape.forced_orders):
            basket.put = self._noting(basket.put)

    def _noting(self, put):
        def noted(item):
            if isinstance(item, Trade):
                self.trades[item.market, item.symbol, item.id] = item
            elif isinstance(item, Mark):
                self.marks[item.symbol, item.event_time] = item
            elif isinstance(item, ForcedOrder):
                self.forced[item.content] = item
            return put(item)

        return noted

    def check(self):
        """All of it is stored, once, and nothing else but trades that were fetched."""
        told = TradeRow.objects.values_list("market_type", "symbol", "id", "event_time")
        rows = {key: event_time for *key, event_time in told for key in [tuple(key)]}
        assert set(self.trades) <= set(rows)
        assert {key for key, event_time in rows.items() if event_time is not None} <= set(self.trades)
        marks = {(row.symbol, ms(row.event_time)): row for row in MarkPrice.objects.all()}
        assert set(marks) == set(self.marks)
        assert all(f"{marks[key].mark_price:f}" == mark.mark_price for key, mark in self.marks.items())
        forced = {row.content: row for row in ForceOrder.objects.all()}
        assert set(forced) == set(self.forced)
        assert all(forced[key].notional == order.notional for key, order in self.forced.items())


def count():
    """Stored trades; None while the database is away."""
    try:
        return {key: max(stored(*key)) for key in KEYS}
    except (ValueError, *DATABASE_AWAY):
        connection.close()
        return None


def repair():
    """As a worker does each minute, as far as the exchange's budget goes each time."""
    until(lambda: futures_tasks.repair_trades() + 1 and not services.open_gaps(1), 240, "gaps stay open")
    assert not TradeGap.objects.exclude(state="filled").exists()


def test_what_came_is_stored_once_and_what_did_not_is_fetched(exchange, servers):
    feed = Feed()
    heard = Heard(feed.tape)
    with running(feed):
        until(lambda: count() and len(heard.marks) > 6, 90)
        for kind in KINDS:
            exchange.fault("double", stream=kind, probability=0.3)
            exchange.fault("reorder", stream=kind, probability=0.3)
        exchange.fault("drop", stream="@aggTrade", probability=0.2)
        exchange.fault("cut", path="/stream", count=1)
        servers.postgres.kill()
        began = len(heard.marks)
        time.sleep(DATABASE_AWAY_FOR / 2)
        exchange.fault("cut", path="/market/stream", count=1)
        time.sleep(DATABASE_AWAY_FOR / 2)
        until(lambda: len(heard.marks) > began + len(NAMES), 60, "it does not go on without the database")
        assert spool_state().batches > 0
        servers.postgres.start()
        servers.redis.kill()
        began = len(heard.marks)
        time.sleep(REDIS_AWAY_FOR)
        until(lambda: len(heard.marks) > began + len(NAMES), 60, "it does not go on without Redis")
        servers.redis.start()
        exchange.heal()
        connection.close()
        before = until(count, 60)
        until(lambda: all(n > before[key] for key, n in (count() or before).items()), 90)
    replay()
    assert spool_state().batches == 0
    repair()
    heard.check()
    fetched = sum(row.event_time is None for key in KEYS for row in gapless(*key).values())
    print(
        f"{len(heard.trades)} trades came, {fetched} were fetched, {len(heard.marks)} mark prices and "
        f"{len(heard.forced)} liquidations came: all of them are stored, each once"
    )
    assert fetched > 0


class Process:
    """A feed of its own process."""

    def __init__(self, exchange, folder):
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        addresses = {f"BINANCE_{market}_REST_URL": exchange.url for market in MARKETS}
        addresses |= {f"BINANCE_{market}_WS_URL": exchange.url.replace("http", "ws") for market in MARKETS}
        streams = {"SPOT_STREAMS": "aggTrade", "FUTURES_STREAMS": "aggTrade,markPrice,forceOrder"}
        self.environ = os.environ | addresses | streams | {"DATABASE_URL": database.geturl(), "TRADE_SYMBOLS": "live"}
        self.environ |= {"PLATFORM_PROCESS": "feed", "DATA_DIR": str(folder)}
        self.log = folder / "log"

    def __enter__(self):
        with self.log.open("ab") as log:
            argv = [sys.executable, "manage.py", "run_feed"]
            self.process = subprocess.Popen(argv, cwd=ROOT, env=self.environ, stderr=log)
        return self

    def __exit__(self, *ignored):
        self.process.kill()
        self.process.wait()


def test_a_killed_feed_leaves_no_hole_in_trades_and_keeps_what_it_had_taken(exchange, tmp_path):
    """Liquidations and mark prices cannot be had again, so they are stored as they come: of a feed that is killed all
    but those of the last moment are there. Its trades are fetched by the next one."""
    with Process(exchange, tmp_path) as feed:
        until(lambda: count() and MarkPrice.objects.count() >= 12, 120)
        began = ms(MarkPrice.objects.earliest("event_time").event_time)
        time.sleep(6)
        ended = time.time() * 1000
        feed.process.send_signal(signal.SIGKILL)
        feed.process.wait()
    before = count()
    newest = MarkPrice.objects.latest("event_time").event_time
    assert ended - ms(newest) < 5000  # stored each second; the rest is what a busy machine takes
    for name in NAMES:
        truth = liquidations_between(name, int(began) + 1000, int(ended) - 6000)
        kept = [ms(row.trade_time) for row in ForceOrder.objects.filter(symbol=name)]
        assert {it.time for it in truth} <= set(kept)
        assert len(kept) == len(set(kept))
        seconds = [ms(row.event_time) for row in MarkPrice.objects.filter(symbol=name).order_by("event_time")]
        assert len(seconds) >= (ended - began) / 1000 - 5
    with Process(exchange, tmp_path):
        until(lambda: all(n > before[key] + 1 for key, n in (count() or before).items()), 120)
    repair()
    for key in KEYS:
        gapless(*key)
