"""alerts and alerts/rules: paged, filtered, changed only with the right, and no address told to strangers."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import Firing, Rule
from alerts.rules import Bound, Kind, Reading
from alerts.services import consider

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RULES = "/api/v1/alerts/rules"


@pytest.fixture
def told(registry):
    """Seven alerts: of three symbols in one minute, then one a minute."""
    Rule.objects.create(name="spread", kind=Kind.SPREAD, cooldown_minutes=0, webhook_url="http://hook.example/x")
    first = [("BTCUSDT", "SPOT"), ("BTCUSDT", "FUTURES"), ("SOLUSDT", "SPOT")]
    for minute, keys in enumerate([first, *([("BTCUSDT", "SPOT")] for _ in range(4))]):
        at = NOON + timedelta(minutes=minute)
        consider(Kind.SPREAD, [Reading(f"{s} {m}", 0.0, at) for s, m in keys])
        details = [{"symbol": s, "market": m} for s, m in keys]
        consider(
            Kind.SPREAD,
            [Reading(f"{s} {m}", 9.0, at, Bound.EXACT, details=d) for (s, m), d in zip(keys, details, strict=True)],
        )
    assert Firing.objects.count() == 7


def ids(answer):
    return [row["id"] for row in answer.json()["data"]]


def test_pages_hold_every_alert_once_newest_first(client, told):
    seen, cursor = [], None
    for _ in range(4):
        answer = client.get("/api/v1/alerts", {"limit": 2, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200
        seen += ids(answer)
        cursor = answer.json()["next"]
        Firing.objects.create(  # what comes in between changes no page
            rule_name="x", kind="spread", subject="x", fired_at=datetime.now(UTC), value=1, threshold=1, bound="exact"
        )
        if cursor is None:
            break
    wanted = Firing.objects.filter(rule_name="spread").order_by("-fired_at", "-pk").values_list("pk", flat=True)
    assert seen == list(wanted)


def test_filters(client, told):
    def count(**query):
        answer = client.get("/api/v1/alerts", query)
        assert answer.status_code == 200, answer.json()
        return answer.json()["count"]

    assert count() == 7
    assert count(symbol="btcusdt", market="spot") == count(symbol="btcusdt", marketType="SPOT") == 5
    assert count(symbol="SOLUSDT") == 1
    assert count(kind="funding") == 0
    assert count(**{"from": NOON.isoformat(), "to": NOON.isoformat()}) == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "%00"}, "cursor"),
        ({"limit": 1001}, "limit"),
        ({"kind": "nothing"}, "kind"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
    ],
)
def test_bad_questions_are_named(client, db, query, field):
    answer = client.get("/api/v1/alerts", query)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_one_alert(client, told):
    row = client.get("/api/v1/alerts", {"symbol": "SOLUSDT"}).json()["data"][0]
    assert (row["rule"], row["value"], row["unit"], row["bound"]) == ("spread", 9.0, "% of the mid price", "exact")
    assert row["timestamp"] == int(NOON.timestamp() * 1000)
    assert row["message"].startswith("SOLUSDT SPOT: spread 9 %")


def test_queries_do_not_grow_with_the_page(client, told, django_assert_max_num_queries):
    with django_assert_max_num_queries(2):
        client.get("/api/v1/alerts")


def test_rules_are_made_changed_and_deleted_with_the_scope(client, writer, registry):
    body = {"name": "move", "kind": "price_move", "windowMinutes": 30, "symbol": "btcusdt", "marketType": "spot"}
    body |= {"webhookUrl": "http://localhost:9/x", "webhookSecret": "s"}
    assert client.post(RULES, body, format="json").status_code == 401
    made = writer.post(RULES, body, format="json")
    assert made.status_code == 200, made.json()
    rule = made.json()["rule"]
    assert (rule["symbol"], rule["threshold"], rule["direction"]) == ("BTCUSDT", 5, "either")
    assert (rule["webhookUrl"], rule["webhookSigned"]) == ("http://localhost:9/x", True)
    assert "webhookSecret" not in rule
    public = client.get(RULES).json()["rules"][0]
    assert public["channels"] == ["log", "page", "webhook"]
    assert not {"webhookUrl", "email", "webhookSecret"} & set(public)
    changed = writer.put(f"{RULES}/{rule['id']}", {"threshold": 7, "enabled": False}, format="json").json()["rule"]
    assert (changed["threshold"], changed["enabled"], changed["windowMinutes"]) == (7, False, 30)
    assert client.delete(f"{RULES}/{rule['id']}").status_code == 401
    assert writer.delete(f"{RULES}/{rule['id']}").status_code == 200
    assert client.get(f"{RULES}/{rule['id']}").status_code == 404


def test_a_key_without_the_scope_is_refused(key_client, registry):
    answer = key_client("snapshots:write").post(RULES, {"name": "x", "kind": "spread"}, format="json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "spread"}, "name"),
        ({"name": "x", "kind": "nothing"}, "kind"),
        ({"name": "x", "kind": "depth_diff"}, "band"),
        ({"name": "x", "kind": "price_move"}, "windowMinutes"),
        ({"name": "x", "kind": "spread", "symbol": "NOPE"}, "symbol"),
        ({"name": "x", "kind": "spread", "webhookUrl": "file:///etc/passwd"}, "webhookUrl"),
        ({"name": "x", "kind": "spread", "email": "x"}, "email"),
        ({"name": "x", "kind": "spread", "threshold": "much"}, "threshold"),
        ({"name": "x", "kind": "spread", "marketType": "moon"}, "marketType"),
        ([], None),
    ],
)
def test_rules_that_make_no_sense_name_what_is_wrong(writer, registry, body, field):
    answer = writer.post(RULES, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert not Rule.objects.exists()


def test_there_are_not_more_rules_than_can_be_judged(writer, registry, monkeypatch):
    monkeypatch.setattr("alerts.models.MOST_RULES", 1)
    first = writer.post(RULES, {"name": "first", "kind": "spread"}, format="json").json()["rule"]
    answer = writer.post(RULES, {"name": "second", "kind": "spread"}, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, None)
    assert "there are 1 rules already" in answer.json()["error"]
    assert writer.put(f"{RULES}/{first['id']}", {"threshold": 7}, format="json").status_code == 200


def test_a_name_is_given_once(writer, registry):
    assert writer.post(RULES, {"name": "x", "kind": "spread"}, format="json").status_code == 200
    assert writer.post(RULES, {"name": "x", "kind": "spread"}, format="json").json()["field"] == "name"
