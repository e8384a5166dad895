"""What one process keeps in a minute is bounded."""

from markets import room
from markets.room import Room


def test_no_more_than_its_share_a_minute(monkeypatch):
    monkeypatch.setattr(room, "time", lambda: 600.0)
    place = Room(10)
    assert [place.take(size) for size in (6, 5, 4, 1)] == [True, False, True, False]
    monkeypatch.setattr(room, "time", lambda: 661.0)
    assert [place.take(size) for size in (11, 10, 1)] == [False, True, False]
