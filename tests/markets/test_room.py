"""What one process keeps in a minute is bounded."""

from markets import room
from markets.room import LARGE, Room


def test_no_more_than_its_share_a_minute(monkeypatch):
    monkeypatch.setattr(room, "time", lambda: 600.0)
    place = Room(10)
    assert [place.take(size, "a name") for size in (6, 5, 4, 1)] == [True, False, True, False]
    monkeypatch.setattr(room, "time", lambda: 661.0)
    assert [place.take(size, "a name") for size in (11, 10, 1)] == [False, True, False]


def test_large_values_are_let_in_when_they_are_asked_for_again(monkeypatch):
    monkeypatch.setattr(room, "time", lambda: 600.0)
    place, large = Room(10 * LARGE), LARGE + 1
    assert [place.take(large, name) for name in ("a", "b", "a", "a", "b")] == [False, False, True, True, True]
    monkeypatch.setattr(room, "time", lambda: 661.0)
    assert [place.take(large, "a"), place.take(LARGE, "c")] == [False, True]
