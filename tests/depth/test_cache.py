"""What Redis holds beside the database: never different from it, whoever writes, reads, crashes or evicts meanwhile."""

import random
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
import redis
from django.db import connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from depth import cache, selectors, services
from depth.models import DepthSnapshot, SeriesVersion, Snapshot
from depth.services import SnapshotRow, store_books, store_rows
from depth.volumes import BandVolumes
from markets.connections import cache_redis
from tests.api.conftest import add_symbol
from tests.depth.factories import collected

MINUTE = timedelta(minutes=1)
BAND = Decimal("1.5")


@pytest.fixture(autouse=True)
def _fresh(empty_redis):
    cache._Away.until = 0.0
    cache._counted.clear()


@pytest.fixture
def this():
    return datetime.now(UTC).replace(second=0, microsecond=0)


def row(minute, amount=1.0, symbol="BTCUSDT", band=BAND):
    return SnapshotRow(symbol, "SPOT", minute, BandVolumes(band, amount, amount / 3, amount * 7, 0.1, True, False))


def database(symbol="BTCUSDT", band=BAND, back=120):
    start = datetime.now(UTC) - back * MINUTE
    with connection.cursor() as cursor:
        cursor.execute(
            selectors.SERIES, {"symbol": symbol, "market": "SPOT", "band": band, "start": start, "end": LATE}
        )
        return cursor.fetchall()


LATE = datetime(2100, 1, 1, tzinfo=UTC)


def asked(back=60, symbol="BTCUSDT", band=BAND):
    """The last minutes as readers get them: rows as the database tells them."""
    now = datetime.now(UTC)
    points = selectors.series(symbol, "SPOT", band, now - back * MINUTE, now)
    return [tuple(getattr(point, name) for name in NAMES) for point in points]


NAMES = ("time", "bid_volume", "ask_volume", "bid_value", "ask_value", "bid_complete", "ask_complete")


def members(band="1.5"):
    return cache_redis().zrange(f"snapshot:BTCUSDT:SPOT:{band}:recent", 0, -1, withscores=True)


@pytest.mark.django_db
def test_a_packed_row_is_the_row_that_the_database_tells():
    """Of many sizes; every twentieth from ten millions on lies in the middle of two numbers of fewer digits."""
    random = np.random.default_rng()
    sums = np.concatenate(
        [random.uniform(1e7, 1e8, 8000), 10 ** random.uniform(-8, 15, 8000), 2.0 ** np.arange(-60, 60), np.zeros(4)]
    ).astype(np.float32)
    minute = datetime(2026, 3, 1, 12, 7, tzinfo=UTC)
    flags = random.integers(0, 4, len(sums) // 4).tolist()
    rows = zip(sums.reshape(-1, 4).tolist(), flags, strict=True)
    packed = [cache.PACKED.pack(int(minute.timestamp()), *four, both) for four, both in rows]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum::real FROM unnest(%s::float8[]) AS sum", [sums.astype(float).tolist()])
        told = np.array(cursor.fetchall()).reshape(-1, 4).tolist()
    wanted = [(minute, *four, bool(both & 1), bool(both & 2)) for four, both in zip(told, flags, strict=True)]
    assert cache.unpack(packed) == wanted


@pytest.mark.django_db(transaction=True)
def test_minutes_stand_in_redis_once_they_are_committed(this, settings):
    with transaction.atomic():
        store_books([collected(this)])
        assert members() == []
    [(packed, score)] = members()
    assert score == this.timestamp()
    assert cache.unpack([packed]) == database()
    for band in settings.DEPTH_BANDS:
        key = cache.recent_key("BTCUSDT", "SPOT", band)
        assert cache_redis().zcard(key) == 1
        assert 0 < cache_redis().ttl(key) <= cache.RECENT_LIFETIME


@pytest.mark.django_db(transaction=True)
def test_the_last_hour_comes_from_redis_and_is_what_the_database_has(this, django_assert_num_queries):
    store_books([collected(this - n * MINUTE, quantity=n + 1 / 3) for n in range(130)])
    assert len(asked()) == 60
    stored = database(back=60)
    with django_assert_num_queries(1):
        assert asked() == stored
    store_books([collected(this + MINUTE - n * MINUTE, quantity=n) for n in (0,)])
    with django_assert_num_queries(1):
        now = datetime.now(UTC)
        assert len(selectors.series("BTCUSDT", "SPOT", BAND, now - 60 * MINUTE, now + 2 * MINUTE)) == 61
    assert cache.counts()["recent"] == (2, 1)


@pytest.mark.django_db(transaction=True)
def test_a_set_that_only_writers_fed_is_not_taken_for_whole(this):
    store_rows([row(this - 5 * MINUTE)])
    cache_redis().flushdb()
    store_rows([row(this)])
    assert len(members()) == 1
    assert len(asked()) == 2


@pytest.mark.django_db(transaction=True)
def test_late_rows_and_duplicates(this):
    store_rows([row(this, 5.0)])
    asked()
    store_rows([row(this - 9 * MINUTE, 3.0)])
    assert asked() == database(back=60)
    assert store_rows([row(this, 999.0), row(this - MINUTE, 4.0)]) == 1
    assert asked() == database(back=60)
    assert [answer[1] for answer in asked()] == [3.0, 4.0, 5.0]
    before = SeriesVersion.objects.get().version
    assert store_rows([row(this, 999.0)]) == 0
    assert SeriesVersion.objects.get().version == before


@pytest.mark.django_db(transaction=True)
def test_what_a_crash_left_out_is_read_from_the_database(this, monkeypatch):
    store_rows([row(this - MINUTE)])
    asked()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "advance", lambda *_: None)
        store_rows([row(this)])
    assert asked() == database(back=60)
    assert len(asked()) == 2


@pytest.mark.django_db(transaction=True)
def test_an_evicted_set_is_not_an_empty_series(this):
    store_rows([row(this - MINUTE)])
    asked()
    cache_redis().delete("snapshot:BTCUSDT:SPOT:1.5:recent")
    assert len(asked()) == 1
    cache_redis().delete("snapshot:BTCUSDT:SPOT:1.5:recent")
    store_rows([row(this)])
    assert len(asked()) == 2


@pytest.mark.django_db(transaction=True)
def test_rows_that_are_deleted_are_gone_at_once(this):
    store_books([collected(this)])
    assert len(asked()) == 1
    assert selectors.latest("BTCUSDT", "SPOT") is not None
    Snapshot.objects.all().delete()
    DepthSnapshot.objects.all().delete()
    assert asked() == []
    assert selectors.latest("BTCUSDT", "SPOT") is None


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_never_told(this):
    store_rows([row(this - MINUTE)])
    with transaction.atomic():
        store_rows([row(this)])
        assert len(asked()) == 2  # its own
        assert selectors.latest("BTCUSDT", "SPOT") is None
        transaction.set_rollback(True)
    assert len(asked()) == 1


@pytest.mark.django_db(transaction=True)
def test_old_rows_do_not_disturb_the_recent_ones(this, django_assert_num_queries):
    store_rows([row(this)])
    asked()
    store_rows([row(this - timedelta(days=2))])
    assert len(members()) == 1
    with django_assert_num_queries(1):
        assert len(asked()) == 1


@pytest.mark.django_db(transaction=True)
def test_hours_days_books_and_periods_follow_every_commit(this):
    def everything():
        span = ("BTCUSDT", "SPOT", BAND, this - timedelta(days=3), this)
        return (
            selectors.series(*span, "1h"),
            selectors.history(*span, "1d"),
            selectors.latest("BTCUSDT", "SPOT"),
            selectors.stored_periods("BTCUSDT", "SPOT"),
        )

    for n in range(4):
        store_books([collected(this - 50 * n * MINUTE, quantity=n + 1)])
        first = everything()
        assert everything() == first
        cache_redis().flushdb()
        assert everything() == first
    assert first[3][-1].rows == 10


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_database_answers(this, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(cache, "cache_redis", lambda: redis.Redis(port=9, retry=Retry(NoBackoff(), 1)))
    cache._script.cache_clear()
    store_books([collected(this)])
    with django_assert_max_num_queries(6):
        assert asked() == database(back=60)
        assert selectors.latest("BTCUSDT", "SPOT") is not None
    cache._script.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_every_key_has_a_lifetime(this):
    store_books([collected(this)])
    asked()
    selectors.latest("BTCUSDT", "SPOT")
    selectors.series("BTCUSDT", "SPOT", BAND, this - timedelta(days=9), this, "1d")
    cache.tell_counts()
    ours = [key for pattern in ("snapshot:*", "query:*", "cache:*") for key in cache_redis().scan_iter(pattern)]
    assert ours
    assert all(cache_redis().ttl(key) > 0 for key in ours)
    assert len(list(cache_redis().scan_iter("query:*"))) == 2


@pytest.mark.django_db(transaction=True)
def test_an_open_chart_page_is_answered_from_redis(this, client):
    """A page that asks twelve times a minute, and a book each minute."""
    add_symbol("BTCUSDT", "SPOT")
    for minute in range(4):
        store_books([collected(this - (4 - minute) * MINUTE)])
        for _ in range(12):
            after = int((this - (5 - minute) * MINUTE).timestamp())
            state = client.get(f"/charts/data?symbol=BTCUSDT&market=SPOT&depth=1&after={after}").json()
        assert state["series"]["time"][-1] == (this - (4 - minute) * MINUTE).timestamp()
    hits, misses = (sum(column) for column in zip(*cache.counts().values(), strict=True))
    assert hits / (hits + misses) > 0.9


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_readers_and_writers_race(this, monkeypatch, seed):  # noqa: C901 - each part is a few lines
    """Rows are only ever added, so an answer holds what was stored before it was asked for, and nothing that is not
    stored afterwards. Meanwhile words to Redis come late, out of order or never, and Redis loses keys."""
    chance, failures, over = random.Random(seed), [], threading.Event()
    late, told = threading.Lock(), []
    real = cache.advance

    def unreliable(*news):
        with late:
            told.append(news)
            chance.shuffle(told)
            ready = [told.pop() for _ in range(chance.randint(0, len(told)))]
        for one in ready:
            if chance.random() < 0.9:
                real(*one)

    monkeypatch.setattr(cache, "advance", unreliable)
    store_books([collected(this - 119 * MINUTE)])

    def write(writer):
        for _ in range(40):
            minutes = random.Random(chance.random()).sample(range(110), 3)
            if writer == 0:
                store_books([collected(this - n * MINUTE, quantity=n + 1) for n in minutes])
            else:
                store_rows([row(this - n * MINUTE, writer + n) for n in minutes])
        over.set()

    def read():
        while not over.is_set():
            before, answer, after = set(database()), set(asked(100)), set(database(back=100))
            if not {r for r in before if r[0] > datetime.now(UTC) - 99 * MINUTE} <= answer <= after:
                failures.append((len(before), len(answer), len(after)))
            minutes = stored_books()
            book = selectors.latest("BTCUSDT", "SPOT")
            if book.time < max(minutes):
                failures.append(book.time)

    def stored_books():
        return set(DepthSnapshot.objects.filter(symbol="BTCUSDT").values_list("time", flat=True))

    def evict():
        while not over.wait(0.02):
            key = cache_redis().randomkey()
            if key:
                cache_redis().delete(key)

    def alone(work, *args):
        try:
            work(*args)
        except Exception as error:
            failures.append(error)
        finally:
            over.set()
            connection.close()

    work = [(write, 0), (write, 1), (write, 2), (read,), (read,), (read,), (evict,)]
    threads = [threading.Thread(target=alone, args=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert asked(110) == database(back=110)


@pytest.mark.django_db(transaction=True)
def test_versions_of_concurrent_writers_rise_and_none_comes_twice(this):
    seen, lock = [], threading.Lock()
    real = services.store.raise_versions

    def write(number):
        for n in range(15):
            with transaction.atomic():
                raised = real([("BTCUSDT", "SPOT"), ("ETHUSDT", "SPOT")][:: 1 if n % 2 else -1])
            with lock:
                seen.extend((one.symbol, one.old, one.new) for one in raised)
        connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        steps = sorted((new, old) for name, old, new in seen if name == symbol)
        assert len({new for new, _ in steps}) == 60
        known = [(new, old) for new, old in steps if old is not None]
        assert all(old < new for new, old in known)
        assert len(known) >= 56  # of writers that make the first version together, none knows an old one
