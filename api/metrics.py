"""The platform's figures for Prometheus: taken from the database and Redis when they are asked for, so that every
process tells the same, and none only its own."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import redis
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from api.health import GOOD, HEALTHY, Health, check
from collector.feed.figures import Report, TapeReport, reports
from collector.selectors import ProcessBeat, processes, statistics, status, weight
from depth.cache import counts
from derivatives.selectors import gap_counts
from markets.clients import ClientFigures, client_figures
from markets.models import Market
from markets.storage import DATABASE_AWAY

PREFIX = "trading_"
Sample = tuple[list[str], float]


def exposition(now: datetime | None = None) -> bytes:
    """All figures in Prometheus' text form. What cannot be asked at the moment is absent, and its `up` is 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Platform(now or timezone.now()))
    return generate_latest(registry)


class _Platform(Collector):
    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        health = check(self.now)
        yield from _up(health)
        yield from _spool(health)
        yield from _scanner(health)
        parts: list[Callable[[datetime], Iterable[Metric]]] = []
        if health.components["database"]["status"] == HEALTHY:
            parts += [_collection, _minute, _weights, _trade_gaps]
        if health.components["redis"]["status"] == HEALTHY:
            parts += [_processes, _sockets, _feed, _events, _cache]
        for part in parts:
            yield from _unless_away(part, self.now)


def _unless_away(part: Callable[[datetime], Iterable[Metric]], now: datetime) -> list[Metric]:
    try:
        return list(part(now))
    except (redis.RedisError, *DATABASE_AWAY):
        return []


def _gauge(name: str, text: str, samples: Iterable[Sample], labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _counter(name: str, text: str, number: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=number)


def _up(health: Health) -> list[Metric]:
    parts = health.components.items()
    servers = [([name], part["latency"] / 1000) for name, part in parts if part.get("latency") is not None]
    return [
        _gauge("up", "1: the part works (or was stopped on purpose).", _states(health), ("component",)),
        _gauge("latency_seconds", "Time of one question to a server.", servers, ("component",)),
    ]


def _spool(health: Health) -> list[Metric]:
    part = health.components["spool"]
    return [
        _gauge("spool_bytes", "That wait on disk for the database.", [([], part["bytes"])]),
        _gauge("spool_batches", "That wait on disk for the database.", [([], part["batches"])]),
        _gauge("spool_limit_bytes", "That may wait.", [([], part["limit"])]),
    ]


def _scanner(health: Health) -> list[Metric]:
    part = health.components["scanner"]
    texts = {
        "headBlock": ("scanner_head_block", "Newest block of the chain."),
        "scannedBlock": ("scanner_scanned_block", "Newest block whose order events are stored."),
        "lag": ("scanner_lag_blocks", "Blocks that could be read and are not."),
        "reorgs": ("scanner_reorgs", "Reorganisations of the chain since the first block."),
        "anomalies": ("scanner_anomalies", "Order events that were refused."),
    }
    return [_gauge(*texts[key], [([], part[key])]) for key in texts if part[key] is not None]


def _states(health: Health) -> list[Sample]:
    return [([name], float(part["status"] in GOOD)) for name, part in health.components.items()]


def _collection(now: datetime) -> list[Metric]:
    figures, found = statistics(), status(now)
    gauges = [_gauge("collector_running", "0: stopped on purpose.", [([], float(figures.running))])]
    gauges.append(_gauge("collected_symbols", "Symbols that are collected.", [([], found.symbols)]))
    if found.lag_seconds is not None:
        gauges.append(_gauge("book_age_seconds", "Since the newest stored minute began.", [([], found.lag_seconds)]))
    return [
        *gauges,
        _counter("exchange_requests", "Requests to the exchange.", figures.total_requests),
        _counter("exchange_requests_failed", "Of them those that failed.", figures.failed_requests),
    ]


def _minute(now: datetime) -> list[Metric]:
    """The newest minute of collection."""
    cycle = statistics().last_cycle
    if cycle is None:
        return []
    outcomes = [([name], getattr(cycle, name)) for name in ("expected", "stored", "failed", "overrun")]
    stages = [([name], getattr(cycle, f"{name}_seconds")) for name in ("network", "compute", "store")]
    figures = [
        _gauge("minute_books", "Order books of the newest minute, by outcome.", outcomes, ("outcome",)),
        _gauge("minute_stage_seconds", "Work of the newest minute, by stage.", stages, ("stage",)),
        _gauge("minute_rows", "Rows stored in the newest minute.", [([], cycle.rows)]),
        _gauge("minute_timestamp_seconds", "Beginning of the newest minute.", [([], cycle.minute.timestamp())]),
    ]
    if cycle.seconds is not None:
        figures.append(_gauge("minute_seconds", "From the minute's first request to its end.", [([], cycle.seconds)]))
    return figures


def _weights(now: datetime) -> list[Metric]:
    uses = {market: weight(market) for market in Market.values}
    blocked = {market: use.blocked_until is not None and use.blocked_until > now for market, use in uses.items()}
    return [
        _gauge("request_weight_used", "In the minute.", [([m], use.used) for m, use in uses.items()], ("market",)),
        _gauge("request_weight_limit", "A minute.", [([m], use.limit) for m, use in uses.items()], ("market",)),
        _gauge("exchange_blocked", "1: told to wait.", [([m], float(b)) for m, b in blocked.items()], ("market",)),
    ]


def _cache(now: datetime) -> list[Metric]:
    """Questions that Redis answered, and those that the database had to."""
    family = CounterMetricFamily(PREFIX + "cache_requests", "Asked of the cache.", labels=("name", "outcome"))
    for name, (hits, misses) in counts().items():
        family.add_metric([name, "hit"], hits)
        family.add_metric([name, "miss"], misses)
    return [family]


def _processes(now: datetime) -> list[Metric]:
    beats = processes()
    labels = ("process", "host", "pid")

    def each(figure: Callable[[ProcessBeat], float]) -> list[Sample]:
        return [([beat.name, beat.host, str(beat.pid)], figure(beat)) for beat in beats]

    return [
        _gauge("process_cpu_percent", "Of one core.", each(lambda beat: beat.cpu_percent), labels),
        _gauge("process_memory_bytes", "Resident.", each(lambda beat: beat.memory_bytes), labels),
        _gauge("process_start_seconds", "Start.", each(lambda beat: beat.started_at.timestamp()), labels),
    ]


def _feed(now: datetime) -> list[Metric]:
    """Connections to the exchange and live books."""
    found = reports(now.timestamp())
    links = [one for report in found for one in report.connections]
    books = [book for report in found for book in report.books]
    states = Counter((book.market, book.status) for book in books)
    resyncs = Counter[str]()
    for book in books:
        resyncs[book.market] += book.resyncs
    ages = [([book.market, book.symbol], book.age) for book in books if book.age is not None]

    def by_process(figure: Callable[[Report], float]) -> list[Sample]:
        return [([str(report.pid)], figure(report)) for report in found]

    return [
        _gauge(
            "feed_connection_up", "1: connected.", [([o.id], float(o.state == "connected")) for o in links], ("id",)
        ),
        _gauge("feed_connection_uptime_percent", "Of a day.", [([o.id], o.uptime) for o in links], ("id",)),
        _gauge("feed_connection_reconnects", "Since its start.", [([o.id], o.reconnects) for o in links], ("id",)),
        _gauge("feed_connection_streams", "Subscribed.", [([o.id], o.streams) for o in links], ("id",)),
        _gauge("feed_books", "Live books.", [(list(key), n) for key, n in states.items()], ("market", "status")),
        _gauge("feed_resyncs", "Of live books.", [([market], n) for market, n in resyncs.items()], ("market",)),
        _gauge("feed_book_age_seconds", "Since the exchange told of it.", ages, ("market", "symbol")),
        _gauge("feed_messages_per_second", "From the exchange.", by_process(lambda one: one.rate), ("pid",)),
        _gauge("feed_messages_waiting", "For their turn.", by_process(lambda one: one.waiting), ("pid",)),
        _gauge("feed_messages_dropped", "Since its start.", by_process(lambda one: one.dropped), ("pid",)),
        _gauge("feed_published", "States, since its start.", by_process(lambda one: one.published), ("pid",)),
        _gauge("feed_slowest_seconds", "Message to publication.", by_process(lambda one: one.slowest), ("pid",)),
    ]


def _events(now: datetime) -> list[Metric]:
    """Futures events on their way to the database, by feed process and kind."""
    found = [(str(report.pid), one) for report in reports(now.timestamp()) for one in report.tape]
    labels = ("pid", "kind")

    def each(figure: Callable[[TapeReport], float]) -> list[Sample]:
        return [([pid, one.kind], figure(one)) for pid, one in found]

    def counted(name: str, text: str, figure: Callable[[TapeReport], int]) -> Metric:
        family = CounterMetricFamily(PREFIX + name, text, labels=labels)
        for pid, one in found:
            family.add_metric([pid, one.kind], figure(one))
        return family

    lags = [([pid, one.kind], one.lag) for pid, one in found if one.lag is not None]
    return [
        _gauge("events_per_second", "Stored, or put into the spool.", each(lambda one: one.rate), labels),
        _gauge("events_waiting", "In memory.", each(lambda one: one.waiting), labels),
        _gauge("events_lag_seconds", "From event to stored, the longest of late.", lags, labels),
        counted("events_stored", "Since the feed's start.", lambda one: one.stored),
        counted("events_spooled", "That waited on disk.", lambda one: one.spooled),
        counted("events_dropped", "That found no room, or could not be stored.", lambda one: one.dropped),
    ]


def _trade_gaps(now: datetime) -> list[Metric]:
    gaps = gap_counts()
    return [
        _gauge("trade_gaps_open", "Ranges of trades that are to be fetched.", [([], gaps.open)]),
        _gauge("trades_missing", "Trades in them.", [([], gaps.trades)]),
        _gauge("trades_lost", "That the exchange has no longer.", [([], gaps.lost)]),
    ]


def _sockets(now: datetime) -> list[Metric]:
    """Live clients, by web process; the counts begin with it."""
    found = client_figures(now.timestamp())

    def counted(name: str, text: str, figure: Callable[[ClientFigures], int]) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}socket_{name}", text, labels=("process",))
        for process in found:
            family.add_metric([process.process], figure(process))
        return family

    clients = [([process.process], float(process.clients)) for process in found]
    topics = [([process.process], float(process.topics)) for process in found]
    return [
        _gauge("socket_clients", "Live clients.", clients, ("process",)),
        _gauge("socket_channels", "Channels that are heard for them.", topics, ("process",)),
        counted("opened", "Live clients that came.", lambda process: process.opened),
        counted("frames_sent", "Messages to live clients.", lambda process: process.sent),
        counted("frames_skipped", "Replaced by newer ones before they left.", lambda process: process.skipped),
        counted("closed_slow", "Live clients closed because they read too slowly.", lambda process: process.slow),
        counted("closed_flood", "Live clients closed because they sent too much.", lambda process: process.floods),
        counted("refused", "Connections beyond the limit.", lambda process: process.refused),
    ]
