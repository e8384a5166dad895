"""DEX orders over the API: their shapes, lists, filters and refusals."""

from datetime import UTC, datetime, timedelta

import pytest

from dex import services
from dex.chain import ZERO_ADDRESS
from dex.models import Order, SystemState
from tests.dex.factories import ALICE, BOB, BTC, DEPLOYMENT, TOKENS, USDT, log, store, time_of

ETH_PRICE = 894_429_900_000_000_000


@pytest.fixture
def stored(db):
    """Order 1 executed, 2 cancelled, 3 to 5 pending, 5 of a token that does not tell its decimals; two refusals."""
    unknown = "0x" + "12" * 20
    cursor = store(
        [
            log("OrderCreated", 1, 10),
            log("OrderCreated", 2, 10, 1, user=BOB, tokenIn=BTC, tokenOut=USDT, amountIn=10**8, targetPrice=6 * 10**22),
            log("OrderExecuted", 1, 11, amountOut=123_456_789),
            log("OrderCancelled", 2, 12, user=BOB, tokenIn=BTC, amountIn=10**8),
            log("OrderCreated", 3, 13, tokenIn=ZERO_ADDRESS, amountIn=5 * 10**16, targetPrice=ETH_PRICE),
            log("OrderCreated", 4, 14, orderType=1),
            log("OrderCreated", 5, 15, tokenIn=unknown),
            log("OrderExecuted", 1, 16),
            log("OrderExecuted", 99, 16, 1),
        ]
    )
    services.store_tokens(DEPLOYMENT, TOKENS)
    return cursor


def ids(answer):
    return [order["id"] for order in answer.json()["orders"]]


def test_an_order_is_told_as_it_is(client, stored):
    assert client.get("/api/v1/orders/3").json() == {
        "success": True,
        "id": 3,
        "user_address": ALICE,
        "token_in": ZERO_ADDRESS,
        "token_out": BTC,
        "amount_in": "0.05",
        "target_price": "0.8944299",
        "order_type": "LIMIT",
        "status": "PENDING",
        "created_at": time_of(13).isoformat(),
        "executed_at": None,
        "cancelled_at": None,
        "amount_out": None,
        "tx_hash": Order.objects.get(order_id=3).tx_hash,
        "token_in_symbol": "ETH",
        "token_out_symbol": "BTC",
        "amount_in_raw": "50000000000000000",
        "amount_out_raw": None,
        "current_price": None,
        "distance_percent": None,
        "quoted_at": None,
    }


def test_an_executed_order_tells_what_it_brought(client, stored):
    order = client.get("/api/v1/orders/1").json()
    assert (order["status"], order["executed_at"]) == ("EXECUTED", time_of(11).isoformat())
    assert (order["amount_in"], order["amount_out"], order["amount_out_raw"]) == ("1.5", "1.23456789", "123456789")


def test_an_amount_of_a_token_without_decimals_is_told_raw_only(client, stored):
    order = client.get("/api/v1/orders/5").json()
    assert (order["amount_in"], order["amount_in_raw"], order["token_in_symbol"]) == (None, "1500000", None)


def test_quotes_tell_the_way_to_the_target(client, stored):
    wanted = {(one.token_in, one.token_out): one for one in services.pending_quotes(DEPLOYMENT, 10)}
    services.store_quotes(DEPLOYMENT, [(wanted[ZERO_ADDRESS, BTC], 4_000_000), (wanted[USDT, BTC], None)])
    order = client.get("/api/v1/orders/3").json()
    assert order["current_price"] == "0.8"
    assert order["distance_percent"] == pytest.approx((0.8944299 / 0.8 - 1) * 100, abs=1e-4)
    assert datetime.fromisoformat(order["quoted_at"]) > datetime.now(UTC) - timedelta(minutes=1)
    assert client.get("/api/v1/orders/4").json()["current_price"] is None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("orders/pending", [5, 4, 3]),
        ("orders/executed", [1]),
        ("orders/cancelled", [2]),
        ("orders/pending?limit=1", [5]),
        ("orders/pending?limit=2&offset=1", [4, 3]),
        ("orders/pending?offset=7", []),
        (f"orders/pending?token={BTC}", [5, 4, 3]),
        (f"orders/pending?token={USDT.lower()}", [4]),
        (f"orders/pending?token_in={ZERO_ADDRESS}", [3]),
        (f"orders/pending?token_out={USDT}", []),
        (f"orders/cancelled?pair={USDT}/{BTC}", [2]),
        (f"orders/pending?pair={USDT}/{BTC}", [4]),
        (f"orders/pending?from={time_of(14).timestamp():.0f}", [5, 4]),
        (f"orders/pending?from={time_of(14).timestamp():.0f}&to={time_of(14).timestamp():.0f}", [4]),
        (f"users/{ALICE}/orders", [1, 5, 4, 3]),
        (f"users/{ALICE.lower()}/orders?status=executed", [1]),
        (f"users/{ALICE}/orders?status=PENDING&limit=2", [5, 4]),
        (f"users/{BOB}/orders?status=cancelled", [2]),
        (f"users/{BTC}/orders", []),
    ],
)
def test_lists(client, stored, address, found):
    answer = client.get(f"/api/v1/{address}")
    if "users" in address and found[:1] == [1]:  # by the last change, of which order 1's is older than others'
        assert sorted(ids(answer)) == sorted(found)
    else:
        assert ids(answer) == found
    assert client.get(f"/{address}").json() == answer.json()


def test_a_list_tells_how_many_there_are(client, stored):
    body = client.get("/api/v1/orders/pending?limit=2&offset=1").json()
    assert (body["success"], body["total"], body["limit"], body["offset"]) == (True, 3, 2, 1)
    assert client.get("/api/v1/orders/pending").json()["limit"] == 100


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("orders/pending?limit=0", "limit"),
        ("orders/pending?limit=1001", "limit"),
        ("orders/pending?limit=x", "limit"),
        ("orders/pending?offset=-1", "offset"),
        ("orders/executed?token=0x12", "token"),
        (f"orders/executed?token={ALICE.replace('C44', 'c44')}", "token"),
        (f"orders/executed?pair={USDT}", "pair"),
        ("orders/executed?from=2026-01-02&to=2026-01-01", "from"),
        ("orders/executed?from=x", "from"),
        (f"users/{ALICE}/orders?status=open", "status"),
        (f"users/{ALICE[:-1]}/orders", "address"),
        (f"users/{ALICE}0/orders", "address"),
        ("users/0xZZ44CdDdB6a900fa2b585dd299e03d12FA4293BC/orders", "address"),
        (f"users/{ALICE.replace('CdDd', 'cdDd')}/orders", "address"),
        ("orders/x", "id"),
        ("orders/-1", "id"),
        ("orders/1.5", "id"),
        ("orders/٣", "id"),
        (f"orders/{2**256}", "id"),
        ("orders/x/events", "id"),
    ],
)
def test_refusals(client, db, address, field):
    answer = client.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "invalid_parameter", field)


@pytest.mark.parametrize("address", ["orders/77", "orders/77/events", f"orders/{2**256 - 1}"])
def test_unknown_orders(client, stored, address):
    answer = client.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_order")


def test_an_orders_events(client, stored):
    body = client.get("/api/v1/orders/1/events").json()
    assert (body["order_id"], body["count"]) == (1, 3)
    told = [(one["event_type"], one["old_status"], one["new_status"], one["anomaly"]) for one in body["events"]]
    assert told == [
        ("OrderCreated", None, "PENDING", None),
        ("OrderExecuted", "PENDING", "EXECUTED", None),
        ("OrderExecuted", "EXECUTED", "EXECUTED", "not_pending"),
    ]
    first, second, _ = body["events"]
    assert (first["timestamp"], first["block_number"], first["orphaned"]) == (time_of(10).timestamp() * 1000, 10, False)
    assert (first["amount_in"], second["amount_out"]) == ("1.5", "1.23456789")


def test_events_of_an_order_that_was_refused(client, stored):
    assert client.get("/api/v1/orders/99").status_code == 404
    assert [one["anomaly"] for one in client.get("/api/v1/orders/99/events").json()["events"]] == ["unknown_order"]


def test_statistics(client, stored):
    body = client.get("/api/v1/statistics").json()
    assert {name: body[name] for name in ("total", "pending", "executed", "cancelled", "users")} == {
        "total": 5,
        "pending": 3,
        "executed": 1,
        "cancelled": 1,
        "users": 2,
    }
    by_token = {one["token"]: one for one in body["volumes"]}
    assert by_token[USDT] == {
        "token": USDT,
        "symbol": "USDT",
        "orders": 2,
        "amount_in": "3",
        "executed_orders": 1,
        "executed_amount_in": "1.5",
    }
    assert (body["refused_events"], body["reorgs"], body["block"]) == (2, 0, 16)
    assert client.get("/statistics").json()["volumes"] == body["volumes"]


def test_without_a_chain_everything_is_empty_and_says_so(client, db):
    assert client.get("/api/v1/orders/pending").json()["total"] == 0
    body = client.get("/api/v1/statistics").json()
    assert (body["total"], body["chain_id"], body["block"]) == (0, None, None)
    assert client.get("/api/v1/orders/1").status_code == 404


@pytest.mark.parametrize(
    ("address", "queries"),
    [
        ("orders/pending", 4),
        (f"users/{ALICE}/orders", 4),
        ("orders/3", 3),
        ("orders/1/events", 3),
        ("statistics", 6),
    ],
)
def test_queries(client, stored, django_assert_num_queries, address, queries):
    with django_assert_num_queries(queries):
        client.get(f"/api/v1/{address}")


def test_only_the_configured_contract_is_told(client, stored, settings):
    settings.TRADING_ADDRESS = DEPLOYMENT.contract.lower()
    assert client.get("/api/v1/statistics").json()["total"] == 5
    settings.TRADING_ADDRESS = ALICE
    assert client.get("/api/v1/statistics").json()["total"] == 0
    assert client.get("/api/v1/orders/pending").json()["orders"] == []


def component(client):
    return client.get("/api/health").json()["components"]["scanner"]


def test_health_says_off_without_a_chain(client, stored):
    part = component(client)
    assert (part["status"], part["scannedBlock"]) == ("off", None)


@pytest.mark.parametrize(
    ("facts", "status", "lag"),
    [
        ({"status": "live", "head_block": 20}, "healthy", 1),
        ({"status": "recovering", "head_block": 900}, "degraded", 881),
        ({"status": "live", "head_block": 20, "failures": 5}, "degraded", 1),
        ({"status": "stopped", "head_block": 20}, "unhealthy", 1),
        ({"status": "waiting", "head_block": 2}, "healthy", 0),
        ({"status": "recovering", "head_block": None}, "degraded", None),
    ],
)
def test_health_tells_how_the_scanner_is(client, stored, settings, facts, status, lag):
    settings.WEB3_PROVIDERS = ("http://127.0.0.1:9",)
    services.note(DEPLOYMENT, confirmations=3, provider="http://127.0.0.1:9", **facts)
    part = component(client)
    assert (part["status"], part["lag"], part["scannedBlock"]) == (status, lag, 16)
    assert (part["anomalies"], part["reorgs"], part["provider"]) == (2, 0, "http://127.0.0.1:9")


def test_a_scanner_that_is_silent_is_no_longer_healthy(client, stored, settings):
    settings.WEB3_PROVIDERS = ("http://127.0.0.1:9",)
    services.note(DEPLOYMENT, status="live", head_block=16)
    assert component(client)["status"] == "healthy"
    SystemState.objects.update(updated_at=datetime.now(UTC) - timedelta(minutes=1))
    assert component(client)["status"] == "unhealthy"


def test_metrics_tell_the_scanner_too(client, stored, settings):
    settings.WEB3_PROVIDERS = ("http://127.0.0.1:9",)
    services.note(DEPLOYMENT, status="live", head_block=20)
    text = client.get("/metrics").content.decode()
    assert "trading_scanner_head_block 20.0" in text
    assert "trading_scanner_lag_blocks 4.0" in text
    assert 'trading_up{component="scanner"} 1.0' in text
