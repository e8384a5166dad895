"""Celery's entrances: what they send on, and what they do when the database is away."""

from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerAway

from collector import services, tasks
from collector.cycle import Part, PartResult

MINUTE = datetime(2026, 3, 1, 12, tzinfo=UTC)
PART = Part("binance", "SPOT", ("BTCUSDT", "币安人生USDT"), MINUTE, 2)


@pytest.fixture
def sent(monkeypatch):
    """What is handed to the workers: (arguments, options)."""
    found = []
    for task in (tasks.collect_books, tasks.collect_minute):
        monkeypatch.setattr(task, "apply_async", lambda arguments=None, **options: found.append((arguments, options)))
    return found


def answering(monkeypatch, name, answer):
    def call(*arguments):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(services, name, call)


def test_every_scheduled_task_exists_and_expires_within_its_period():
    current_app.loader.import_default_modules()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in current_app.tasks
        assert entry["options"]["expires"] < 3600


def test_a_part_travels_whole_and_expires_with_its_minute(sent, monkeypatch):
    tasks.send(PART)
    ((arguments, options),) = sent
    assert options["expires"] == MINUTE + timedelta(minutes=1)
    assert options["eta"] is None
    read = []
    monkeypatch.setattr(services, "collect_part", lambda part: read.append(part) or PartResult())
    tasks.collect_books(*arguments)
    assert read == [PART]
    assert len(sent) == 1, "a part that is done sends nothing"


def test_the_rest_of_a_part_is_sent_for_later(sent, monkeypatch):
    rest = Part("binance", "SPOT", ("BTCUSDT",), MINUTE, 2)
    answering(monkeypatch, "collect_part", PartResult(stored=1, resume_at=MINUTE + timedelta(seconds=9), rest=rest))
    tasks.collect_books("binance", "SPOT", list(PART.names), MINUTE.isoformat(), 2)
    ((arguments, options),) = sent
    assert arguments == ["binance", "SPOT", ["BTCUSDT"], MINUTE.isoformat(), 2]
    assert options["eta"] == MINUTE + timedelta(seconds=9)


def test_a_part_begins_again_when_the_database_is_away(sent, monkeypatch):
    answering(monkeypatch, "collect_part", OperationalError("away"))
    tasks.collect_books("binance", "SPOT", list(PART.names), MINUTE.isoformat(), 2)
    ((arguments, options),) = sent
    assert arguments[2] == list(PART.names)
    assert timedelta(0) < options["eta"] - datetime.now(UTC) <= tasks.AGAIN


def test_a_minute_begins_again_when_the_database_is_away(sent, monkeypatch):
    answering(monkeypatch, "collect_minute", OperationalError("away"))
    tasks.collect_minute()
    ((_, options),) = sent
    assert options["expires"].second == 0
    assert options["expires"] > datetime.now(UTC)


def test_parts_that_cannot_be_handed_out_are_read_by_who_planned_them(monkeypatch):
    """The first is handed out, at the second the broker is away: it and the third are read here, with their rests."""
    handed, read = [], []
    parts = [Part("binance", "SPOT", (name,), MINUTE, index) for index, name in enumerate("ABC")]

    def apply_async(arguments, **_):
        if handed:
            raise BrokerAway("connection refused")
        handed.append(arguments[2])

    def collect_part(part):
        read.append(part)
        again = part == parts[1] and read.count(part) == 1
        return PartResult(resume_at=datetime.now(UTC), rest=part) if again else PartResult()

    monkeypatch.setattr(tasks.collect_books, "apply_async", apply_async)
    monkeypatch.setattr(services, "collect_minute", lambda now, hand_out: [hand_out(part) for part in parts])
    monkeypatch.setattr(services, "collect_part", collect_part)
    tasks.collect_minute()
    assert handed == [["A"]]
    assert read == [parts[1], parts[1], parts[2]]


def test_the_rest_of_a_part_that_cannot_be_sent_is_read_when_it_is_time(monkeypatch):
    at = datetime.now(UTC) + timedelta(seconds=0.3)
    answers = [PartResult(resume_at=at, rest=PART), PartResult(stored=1)]
    read = []

    def refuse(*_, **__):
        raise BrokerAway("connection refused")

    monkeypatch.setattr(tasks.collect_books, "apply_async", refuse)
    monkeypatch.setattr(services, "collect_part", lambda part: read.append(datetime.now(UTC)) or answers.pop(0))
    tasks.collect_books("binance", "SPOT", list(PART.names), MINUTE.isoformat(), 2)
    assert len(read) == 2
    assert read[1] >= at


def test_other_faults_are_not_hidden(sent, monkeypatch):
    answering(monkeypatch, "collect_part", ValueError("a fault of ours"))
    with pytest.raises(ValueError, match="ours"):
        tasks.collect_books("binance", "SPOT", [], MINUTE.isoformat(), 0)


def test_the_smaller_entrances_call_their_services(monkeypatch):
    called = []
    for name, answer in (("record_metrics", 3), ("sync_registry", ["a line"]), ("retain", 5)):
        monkeypatch.setattr(services, name, lambda *_, name=name, answer=answer: called.append(name) or answer)
    tasks.record_metrics()
    tasks.sync_symbols()
    tasks.retention()
    assert called == ["record_metrics", "sync_registry", "retain"]
