"""History for charts: sides, ranges, resolutions, gaps."""

from datetime import UTC, datetime, timedelta

import pytest

from depth.services import store_books
from tests.depth.factories import collected

ADDRESS = "/api/v1/chart-data"
FIELDS = ["success", "symbol", "marketType", "depth", "type", "data", "count", "timestamp", "interval"]


def ask(client, **query):
    return client.get(ADDRESS, {"symbol": "BTCUSDT", "depth": "1", **query})


def test_the_last_hour_of_one_side(client, books):
    body = ask(client, type="bid").json()
    assert list(body) == FIELDS
    assert (body["marketType"], body["depth"], body["type"], body["interval"]) == ("SPOT", 1, "bid", "1m")
    assert body["count"] == len(body["data"]) == 10
    assert [point["time"] for point in body["data"]] == sorted(point["time"] for point in body["data"])
    assert all(point["time"] % 60 == 0 for point in body["data"])
    assert list(body["data"][0]) == ["time", "value", "complete"]
    # Older books hold more: two, and one for each minute back, on each of ten levels about 100.
    assert body["data"][0]["value"] == pytest.approx(11 * 10 * 99.45, rel=1e-3)
    assert body["data"][-1]["value"] == pytest.approx(2 * 10 * 99.45, rel=1e-3)
    assert body["data"][-1]["complete"] is True


def test_no_side_is_the_mean_of_both(client, books):
    both = ask(client, type="both").json()
    mean = ask(client).json()
    assert mean["type"] is None
    for point, pair in zip(mean["data"], both["data"], strict=True):
        assert point["value"] == pytest.approx((pair["bid"] + pair["ask"]) / 2)
        assert pair["diff"] == pytest.approx(pair["bid"] - pair["ask"])
        assert pair["percentage"] == pytest.approx(pair["diff"] / (pair["bid"] + pair["ask"]) * 100)
    assert list(both["data"][0]) == ["time", "bid", "ask", "diff", "percentage", "bidComplete", "askComplete"]


def test_a_band_beyond_the_book_is_a_lower_bound(client, books):
    assert not any(point["complete"] for point in ask(client, depth="30", type="ask").json()["data"])


def test_minutes_that_were_not_collected_are_absent(client, registry, now):
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=30)
    store_books([collected(minute), collected(minute + timedelta(minutes=3))])
    times = [point["time"] for point in ask(client).json()["data"]]
    assert times == [int(minute.timestamp()), int(minute.timestamp()) + 180]


@pytest.mark.parametrize("name", ["marketType", "market"])
@pytest.mark.parametrize("spelling", ["FUTURES", "futures", "Futures"])
def test_the_market_by_any_of_its_names(client, books, name, spelling):
    assert ask(client, **{name: spelling}).json()["marketType"] == "FUTURES"


def test_a_symbol_that_is_only_on_futures_needs_no_market(client, books):
    assert ask(client, symbol="1000PEPEUSDT").json()["marketType"] == "FUTURES"


def test_both_ends_are_included_in_every_form(client, registry):
    noon = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
    store_books([collected(noon + timedelta(minutes=minute)) for minute in range(4)])
    start, end = noon + timedelta(minutes=1), noon + timedelta(minutes=2)
    forms = [
        lambda moment: str(int(moment.timestamp())),
        lambda moment: str(int(moment.timestamp() * 1000)),
        lambda moment: moment.isoformat(),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda moment: moment.strftime("%Y-%m-%d %H:%M"),
        lambda moment: moment.astimezone().isoformat(),
    ]
    for form in forms:
        data = ask(client, **{"from": form(start), "to": form(end)}).json()["data"]
        assert [point["time"] for point in data] == [int(start.timestamp()), int(end.timestamp())]
    unescaped = client.get(f"{ADDRESS}?symbol=BTCUSDT&depth=1&from=2026-10-01T12:01:00+00:00&to=1790856120")
    assert [point["time"] for point in unescaped.json()["data"]] == [int(start.timestamp()), int(end.timestamp())]


@pytest.mark.parametrize(
    ("length", "interval"),
    [
        (timedelta(days=2.5), "1m"),
        (timedelta(days=2.5, seconds=1), "1h"),
        (timedelta(days=150), "1h"),
        (timedelta(days=150, seconds=1), "1d"),
        (timedelta(days=3600), "1d"),
    ],
)
def test_the_resolution_follows_the_range(client, registry, now, length, interval):
    answer = ask(client, **{"from": (now - length).isoformat(), "to": now.isoformat()})
    assert (answer.status_code, answer.json()["interval"]) == (200, interval)


def test_never_more_than_3600_points(client, registry, now):
    end = now.replace(second=0, microsecond=0)
    start = end - timedelta(days=2.5)
    store_books([collected(start + timedelta(minutes=minute), levels=3) for minute in range(3601)])
    body = ask(client, **{"from": start.isoformat(), "to": end.isoformat()}).json()
    assert (body["count"], body["interval"]) == (3600, "1m")
    assert body["data"][-1]["time"] == int(end.timestamp())


def test_hours_are_means_that_are_complete_only_when_every_minute_is(client, registry):
    noon = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
    store_books(
        [
            collected(noon, quantity=1, levels=3),
            collected(noon + timedelta(minutes=59), quantity=3, whole=True, levels=3),
        ]
    )
    body = ask(client, type="bid", **{"from": "2026-09-01", "to": "2026-10-05"}).json()
    [point] = body["data"]
    assert (body["interval"], point["time"], point["complete"]) == ("1h", int(noon.timestamp()), False)
    assert point["value"] == pytest.approx(2 * 3 * 99.8, rel=1e-3)


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("", 400, "missing_parameter", "depth"),
        ("symbol=BTCUSDT", 400, "missing_parameter", "depth"),
        ("depth=1", 400, "missing_parameter", "symbol"),
        ("symbol=BTCUSDT&depth=1&timeframe=1h", 400, "invalid_parameter", "timeframe"),
        ("symbol=BTCUSDT&timeframe=7h", 400, "invalid_parameter", "timeframe"),
        ("symbol=BTCUSDT&depth=2", 400, "invalid_parameter", "depth"),
        ("symbol=BTCUSDT&depth=1&type=SPOT", 400, "invalid_parameter", "type"),
        ("symbol=BTCUSDT&depth=1&marketType=MARGIN", 400, "invalid_parameter", "marketType"),
        ("symbol=BTCUSDT&depth=1&market=", 400, "invalid_parameter", "market"),
        ("symbol=BTCUSDT&depth=1&from=yesterday", 400, "invalid_parameter", "from"),
        ("symbol=BTCUSDT&depth=1&from=NaN", 400, "invalid_parameter", "from"),
        ("symbol=BTCUSDT&depth=1&to=inf", 400, "invalid_parameter", "to"),
        ("symbol=BTCUSDT&depth=1&to=-1", 400, "invalid_parameter", "to"),
        ("symbol=BTCUSDT&depth=1&to=99999999999999999999999", 400, "invalid_parameter", "to"),
        ("symbol=BTCUSDT&depth=1&to=9999-12-31T23:59:59Z", 400, "invalid_parameter", "to"),
        ("symbol=BTCUSDT&depth=1&to=0001-01-01T00:00:00%2B14:00", 400, "invalid_parameter", "to"),
        ("symbol=BTCUSDT&depth=1&from=1700000060&to=1700000000", 400, "invalid_parameter", "from"),
        ("symbol=BTCUSDT&depth=1&from=0&to=1790000000", 400, "range_too_long", "from"),
        ("symbol=NOPE&depth=1", 404, "unknown_symbol", "symbol"),
        ("symbol=DOGEUSDT&depth=1", 404, "not_collected", "symbol"),
        ("symbol=SOLUSDT&depth=1&market=futures", 404, "not_collected", "symbol"),
    ],
)
def test_refusals(client, books, query, status, code, field):
    answer = client.get(f"{ADDRESS}?{query}")
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)


def test_nothing_stored_yet_is_an_empty_series(client, registry):
    body = ask(client).json()
    assert (body["data"], body["count"]) == ([], 0)


def test_few_queries(same_minute, client, books, django_assert_num_queries):
    with django_assert_num_queries(4):
        ask(client, type="both")
    with django_assert_num_queries(3):  # the rows are in Redis now
        ask(client, type="bid")
    with django_assert_num_queries(1):  # the whole answer is
        ask(client, type="bid")
