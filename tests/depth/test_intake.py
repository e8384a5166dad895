"""Accepting batches on a real database: stored once, kept while it is away, given back when it is there again."""

from datetime import UTC, datetime

import msgspec
import pytest
from django.db import OperationalError, connection

from depth import intake
from depth.models import DepthSnapshot, Snapshot, StoredBatch
from depth.services import MeasuredBooks, SpoolFull, accept, guarded, measured, replay, spool_state, store_measured
from tests.depth.factories import collected

pytestmark = pytest.mark.django_db
MOMENT = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)


class Broken:
    """A kind whose storing fails as often as it is told to, before or after it has written."""

    def __init__(self):
        self.failures, self.stored = 0, []
        self.kind = intake.kind("test", str, self.store)

    def store(self, word):
        if self.failures:
            self.failures -= 1
            raise OperationalError("away")
        self.stored.append(word)
        return word.upper()


@pytest.fixture
def broken(own_spool, monkeypatch):
    monkeypatch.setattr(intake, "_KINDS", dict(intake._KINDS))
    return Broken()


def test_measured_books_survive_their_encoding(settings):
    books = [collected(MOMENT, mid=0.00001234, whole=True), collected(MOMENT, symbol="ETHUSDT", market="FUTURES")]
    rows = measured(books)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(rows), type=MeasuredBooks)
    assert again == rows
    assert store_measured(again).rows == 2 * len(settings.DEPTH_BANDS)
    assert store_measured(rows).books == 0
    assert DepthSnapshot.objects.count() == 2


def test_what_can_be_stored_is_not_spooled(broken):
    assert accept(broken.kind, "a") == "A"
    assert (broken.stored, spool_state().batches, StoredBatch.objects.count()) == (["a"], 0, 1)


def test_what_cannot_waits_in_order_and_is_stored_once(broken):
    broken.failures = 1  # inside a transaction nothing is tried twice
    assert [accept(broken.kind, word) for word in "abc"] == [None] * 3
    assert (broken.stored, spool_state().batches) == ([], 3)
    assert replay() == 3
    assert (broken.stored, spool_state().batches) == (["a", "b", "c"], 0)
    assert replay() == 0
    assert accept(broken.kind, "d") == "D"


def test_a_replay_that_fails_keeps_the_rest(broken):
    broken.failures = 1
    for word in "abc":
        accept(broken.kind, word)
    broken.failures = 1
    with pytest.raises(OperationalError):
        replay()
    assert spool_state().batches == 3
    replay()
    assert broken.stored == ["a", "b", "c"]


def test_a_batch_that_was_stored_before_the_crash_is_not_stored_again(broken):
    """The process died between the commit and the deletion: the file is still there."""
    broken.failures = 1
    accept(broken.kind, "a")
    [file] = intake.spool().folder.glob("*.batch")
    content = file.read_bytes()
    replay()
    file.write_bytes(content)
    assert replay() == 1
    assert broken.stored == ["a"]
    assert spool_state().batches == 0


def test_what_the_database_refuses_is_set_aside(own_spool):
    intake.breaker.failed()
    row = measured([collected(MOMENT)]).volumes[0]
    books = intake.kind("test", MeasuredBooks, store_measured)
    accept(books, MeasuredBooks(volumes=[("X" * 50, *row[1:])]))  # longer than its column
    accept(books, MeasuredBooks(volumes=[row]))
    assert replay() == 1
    assert (spool_state().batches, spool_state().aside) == (0, 1)
    assert Snapshot.objects.count() == 1


def test_while_the_database_is_known_to_be_away_it_is_not_asked(broken):
    broken.failures = 1
    accept(broken.kind, "a")
    with pytest.raises(OperationalError):
        guarded(lambda: pytest.fail("asked"))
    replay()
    assert guarded(lambda: 7) == 7


def test_neither_stored_nor_kept_is_not_accepted(broken, settings):
    settings.SPOOL_LIMIT = 10
    intake.spool.cache_clear()
    broken.failures = 1
    with pytest.raises(SpoolFull):
        accept(broken.kind, "a")
    intake.breaker.failed()
    assert accept(broken.kind, "told", note=True) is None
    replay()
    assert broken.stored == ["told"]


@pytest.mark.django_db(transaction=True)
def test_a_transient_error_is_tried_three_times_more(broken):
    broken.failures = 3
    assert accept(broken.kind, "a") == "A"
    assert StoredBatch.objects.count() == 1
    broken.failures = 4
    assert accept(broken.kind, "b") is None
    assert intake.breaker.open
    replay()
    assert (broken.stored, intake.breaker.open) == (["a", "b"], False)


@pytest.mark.django_db(transaction=True)
def test_a_commit_of_which_no_word_came_is_not_made_twice(broken, monkeypatch):
    """The answer to the commit is lost with the connection; the next try finds it done."""
    real = intake._once
    lost = []

    def once(key, what, item):
        stored = real(key, what, item)
        if not lost:
            lost.append(stored)
            connection.close()
            raise OperationalError("server closed the connection unexpectedly")
        return stored

    monkeypatch.setattr(intake, "_once", once)
    assert accept(broken.kind, "a") is None
    assert (broken.stored, lost, spool_state().batches) == (["a"], ["A"], 0)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_is_made_anew(broken):
    assert accept(broken.kind, "a") == "A"
    with connection.cursor() as cursor, pytest.raises(OperationalError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert accept(broken.kind, "b") == "B"
    assert spool_state().batches == 0
