"""The overview of a market: true to the stored books, in few queries, and nothing twice."""

from datetime import timedelta

import pytest

from depth.overview import overview, overview_state
from depth.services import store_books
from depth.volumes import measure
from tests.api.conftest import add_symbol
from tests.depth.factories import collected


def rows(client, query=""):
    body = client.get(f"/api/v1/overview?{query}").json()
    return body, {row["symbol"]: row for row in body["data"]}


def test_every_collected_symbol_of_the_market_is_there_with_its_newest_book(client, books, settings):
    body, found = rows(client, "market=spot&depth=3")
    assert (body["success"], body["market"], body["depth"], body["count"]) == (True, "SPOT", 3, 2)
    assert set(found) == {"BTCUSDT", "SOLUSDT"}
    assert found["SOLUSDT"]["book"] is None
    assert found["SOLUSDT"]["trend"] is None
    newest = max((b for (market, _), b in books.items() if market == "SPOT"), key=lambda b: b.received_at)
    truth = next(one for one in measure(newest.book, settings.DEPTH_BANDS) if one.band == 3)
    told = found["BTCUSDT"]["book"]
    assert told["timestamp"] == int(newest.received_at.timestamp() * 1000)
    assert told["band"]["totalBidValue"] == pytest.approx(truth.bid_value, rel=1e-6)
    assert told["band"]["askVolume"] == pytest.approx(truth.ask_volume, rel=1e-6)
    assert told["spreadBps"] == pytest.approx(20.0, rel=1e-3)
    assert told["coverage"]["bidPercent"] == pytest.approx(4.905, rel=1e-3)


def test_the_band_decides_what_is_complete(client, books):
    narrow = rows(client, "depth=1")[1]["BTCUSDT"]["book"]["band"]
    wide = rows(client, "depth=30")[1]["BTCUSDT"]["book"]["band"]
    assert (narrow["bidComplete"], narrow["askComplete"]) == (True, True)
    assert (wide["bidComplete"], wide["askComplete"]) == (False, False)


def test_changes_are_against_an_hour_and_a_day_before(client, registry, now):
    before = [(timedelta(hours=1, minutes=2), 80.0), (timedelta(hours=24), 200.0), (timedelta(hours=5), 7.0)]
    store_books([collected(now, mid=100.0), *(collected(now - ago, mid=mid) for ago, mid in before)])
    store_books([collected(now, symbol="SOLUSDT", mid=50.0)])
    found = rows(client)[1]
    assert found["BTCUSDT"]["book"]["change1h"] == pytest.approx(25.0)
    assert found["BTCUSDT"]["book"]["change24h"] == pytest.approx(-50.0)
    assert (found["SOLUSDT"]["book"]["change1h"], found["SOLUSDT"]["book"]["change24h"]) == (None, None)


def test_the_trend_is_an_hour_of_minutes_with_its_holes(client, registry, now):
    kept = [0, 1, 2, 5, 59, 60]
    store_books([collected(now - timedelta(minutes=ago), whole=ago != 5) for ago in kept])
    trend = rows(client, "depth=30")[1]["BTCUSDT"]["trend"]
    assert len(trend["percentage"]) == 60
    assert [59 - at for at, share in enumerate(trend["percentage"]) if share is not None] == [59, 5, 2, 1, 0]
    assert trend["incomplete"] == [[54, 55]]
    minute = int(now.replace(second=0, microsecond=0).timestamp() * 1000)
    assert trend["from"] == minute - 59 * 60_000


def test_largest_volume_comes_first(client, registry):
    add_symbol("AAAUSDT", "SPOT").__class__.objects.filter(name="AAAUSDT").update(quote_volume=5e9)
    assert next(iter(rows(client)[1])) == "AAAUSDT"


def test_what_the_caller_has_already_is_not_sent_again(client, books, now):
    first = client.get("/api/v1/overview?depth=3")
    again = client.get("/api/v1/overview?depth=3", HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert client.get("/api/v1/overview?depth=5", HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 200
    store_books([collected(now + timedelta(minutes=1))])
    assert client.get("/api/v1/overview?depth=3", HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 200
    add_symbol("NEWUSDT", "SPOT")
    assert rows(client)[0]["count"] == 3


@pytest.mark.parametrize("more", [0, 12])
def test_the_number_of_queries_does_not_depend_on_the_number_of_symbols(
    django_assert_num_queries, registry, now, more, settings
):
    for number in range(more):
        add_symbol(f"X{number}USDT", "SPOT")
    store_books([collected(now, symbol="BTCUSDT"), *(collected(now, symbol=f"X{n}USDT") for n in range(more))])
    with django_assert_num_queries(3):
        state = overview_state(overview("SPOT", settings.DEPTH_BANDS[0]), now)
    assert sum(row["book"] is not None for row in state["data"]) == more + 1


@pytest.mark.parametrize(("query", "field"), [("depth=4", "depth"), ("depth=x", "depth"), ("market=margin", "market")])
def test_what_cannot_be_understood_is_refused(client, db, query, field):
    answer = client.get(f"/api/v1/overview?{query}")
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == ("invalid_parameter", field)


def test_a_market_without_symbols_is_empty(client, db):
    body = client.get("/api/v1/overview?marketType=FUTURES").json()
    assert (body["market"], body["count"], body["data"]) == ("FUTURES", 0, [])
