"""What the collector's tests share: a simulated exchange, an empty Redis, and a process that knows nothing yet."""

import pytest

from tests.collector.feeding import MARKETS, Listener
from tests.collector.feeding import NAMES as LIVE_NAMES
from tests.collector.simulated import NAMES, Simulator


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("simulator"))
    yield running
    running.stop()


@pytest.fixture
def forgetful(own_spool):
    """The process has met no exchange, no budget and no database before, and forgets them after."""
    from collector import limits, memory, venues

    memory.forget()
    for cached in (limits.budget, venues.venue):
        cached.cache_clear()
    yield
    memory.forget()
    for cached in (limits.budget, venues.venue):
        cached.cache_clear()


@pytest.fixture
def exchange(simulator, settings, forgetful, empty_redis):
    """The simulated exchange without faults, that the settings point to."""
    simulator.reset()
    settings.VENUE_URLS = {"binance": {market: {"rest": simulator.url, "ws": ""} for market in ("SPOT", "FUTURES")}}
    settings.SYMBOLS = ",".join(NAMES)
    yield simulator
    simulator.reset()


@pytest.fixture
def registry(exchange, db):
    """The registry as the exchange fills it; NAMES are collected on both markets."""
    from collector.services import sync_registry

    sync_registry()
    exchange.control("DELETE", "/counters")
    return exchange


@pytest.fixture
def live(simulator, settings, forgetful, empty_redis, transactional_db):
    """The simulated exchange over both of its ways; LIVE_NAMES are collected and live on both markets. Of streams only
    order books are taken."""
    from collector.services import sync_registry

    simulator.reset()
    simulator.control("DELETE", "/streams")
    socket = simulator.url.replace("http", "ws")
    settings.VENUE_URLS = {"binance": {market: {"rest": simulator.url, "ws": socket} for market in MARKETS}}
    settings.SYMBOLS, settings.LIVE_SYMBOLS = ",".join(LIVE_NAMES), ",".join(LIVE_NAMES)
    settings.STREAM_KINDS = {market: {"depth"} for market in MARKETS}
    sync_registry()
    yield simulator
    simulator.reset()
    simulator.control("DELETE", "/streams")


@pytest.fixture
def listener(live):
    listening = Listener()
    yield listening
    listening.stop()
