"""Candles in the admin: how far each series is, what is missing, and ranges that are fetched again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from candles import backtests, services
from candles.models import Hole, MinuteCandle, RangeRequest, RuleOutcome, SeriesState, StoredAnalysis
from candles.services import KlineAnswer, store_answers
from candles.timeframes import read_timeframe
from tests.candles.factories import BTC, ETH, MINUTE, klines, noon
from tests.pages.candle_market import minute_at

pytestmark = pytest.mark.django_db
LIST = "/admin/candles/seriesstate/"


@pytest.fixture
def admin(client):
    client.force_login(get_user_model().objects.create_superuser("root", "", "a-long-password"))
    return client


@pytest.fixture
def series(empty_redis):
    """Two series; of BTCUSDT ten minutes are missing here, and ten the exchange does not have."""
    start = noon()
    rows = klines(start, 180)
    store_answers([KlineAnswer(BTC, start, start + 180 * MINUTE, rows[:100] + rows[110:])])
    store_answers([KlineAnswer(ETH, start, start + 180 * MINUTE, rows)])
    MinuteCandle.objects.filter(symbol="BTCUSDT", open_time__lt=start + 10 * MINUTE).delete()
    SeriesState.objects.filter(symbol="ETHUSDT").update(last_error="<b>down</b>")
    return SeriesState.objects.get(symbol="BTCUSDT")


def test_the_list_tells_how_far_each_series_is(admin, series):
    page = admin.get(LIST).content.decode()
    assert "BTCUSDT" in page
    assert "170" in page
    assert "&lt;b&gt;down" in page
    assert admin.get(LIST + "?q=BTC").status_code == 200
    for name in ("hole", "rangerequest"):
        assert admin.get(f"/admin/candles/{name}/").status_code == 200


def test_gaps_and_holes_are_told_apart(admin, series):
    page = admin.get(f"{LIST}gaps/{series.pk}/").content.decode()
    missing, lacked = page.split("The exchange does not have it")
    start = noon()
    assert f"{start:%Y-%m-%d %H:%M}</td><td>{start + 10 * MINUTE:%Y-%m-%d %H:%M}</td><td>10</td>" in missing
    assert f"{start + 100 * MINUTE:%Y-%m-%d %H:%M}" in lacked
    assert Hole.objects.get().checks == 1
    assert admin.get(f"{LIST}gaps/0/").status_code == 404


def test_a_range_is_put_in_line(admin, series):
    both = ",".join(str(pk) for pk in SeriesState.objects.values_list("pk", flat=True))
    chosen = admin.post(LIST, {"action": "fetch_again", "_selected_action": both.split(",")})
    assert chosen.url.startswith(f"{LIST}fetch/?ids=")
    start = noon()
    form = {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M}"}
    assert "BTCUSDT SPOT" in admin.get(chosen.url).content.decode()
    assert admin.post(f"{LIST}fetch/?ids={both}", form).status_code == 302
    requests = list(RangeRequest.objects.order_by("symbol"))
    assert [(one.symbol, one.start, one.requested_by) for one in requests] == [
        ("BTCUSDT", start, "root"),
        ("ETHUSDT", start, "root"),
    ]


@pytest.mark.parametrize(("days", "message"), [(-1, "must be after the beginning"), (400, "a year at most")])
def test_a_range_that_cannot_be_is_refused(admin, series, days, message):
    start = noon()
    form = {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{start + timedelta(days=days):%Y-%m-%dT%H:%M}"}
    page = admin.post(f"{LIST}fetch/?ids={series.pk}", form)
    assert message in page.content.decode()
    assert not RangeRequest.objects.exists()


def test_who_may_only_look_cannot_fetch(client, series):
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_seriesstate"))
    client.force_login(user)
    assert client.get(LIST).status_code == 200
    assert client.get(f"{LIST}fetch/?ids={series.pk}").status_code == 403
    assert client.post(f"{LIST}fetch/?ids={series.pk}", {}).status_code == 403
    assert client.get(f"{LIST}gaps/{series.pk}/").status_code == 200


def test_analyses_and_backtests_can_be_looked_at_and_not_changed(admin, empty_redis):
    top = datetime.now(UTC).replace(second=0, microsecond=0)
    top -= timedelta(minutes=top.minute % 5)
    services.store_klines([(BTC, [minute_at(top - n * MINUTE) for n in range(400, 0, -1)])])
    five = read_timeframe("5")
    services.derive(top)
    backtests.keep(BTC, five, backtests.run(BTC, five, top))
    page = admin.get("/admin/candles/storedanalysis/").content.decode()
    row = StoredAnalysis.objects.get(timeframe="5")
    assert f"{row.timestamp:%Y-%m-%d %H:%M} UTC" in page
    assert f">{row.trend}<" in page
    page = admin.get("/admin/candles/ruleoutcome/?rule=macd_cross").content.decode()
    outcome = RuleOutcome.objects.get(rule="macd_cross", after=5)
    assert f"{outcome.hit_rate * 100:.1f}%" in page
    assert "80 candles" in page
    for name, pk in (("storedanalysis", row.pk), ("ruleoutcome", outcome.pk)):
        assert admin.get(f"/admin/candles/{name}/add/").status_code == 403
        assert admin.post(f"/admin/candles/{name}/{pk}/delete/", {"post": "yes"}).status_code == 403
