"""What is kept of trades, mark prices, liquidations and open interest, and which trades are missing."""

from datetime import timedelta
from typing import Any

from django.db import models
from timescale.db.models.fields import TimescaleDateTimeField

from markets.models import Market

# Table: its time column, and how long its rows are kept.
LIFETIMES = {
    "agg_trades": ("trade_time", timedelta(days=7)),
    "mark_prices": ("event_time", timedelta(days=30)),
    "force_orders": ("trade_time", timedelta(days=365)),
    "open_interest": ("time", timedelta(days=365)),
    "depth_updates": ("event_time", timedelta(days=2)),
}


class NumericField(models.DecimalField):
    """PostgreSQL `numeric` without bounds: a decimal as the exchange wrote it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_digits": 60, "decimal_places": 24, **options})

    def db_type(self, connection: Any) -> str:
        return "numeric"


class PayloadField(models.JSONField):
    """The exchange's own words, whole; null where they are not kept (EVENT_PAYLOADS)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"null": True, **options})


class Trade(models.Model):
    """One aggregate trade: what one order took at one price. `event_time` is null where it was fetched later."""

    pk = models.CompositePrimaryKey("market_type", "symbol", "trade_time", "id")
    market_type = models.CharField(max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    trade_time = TimescaleDateTimeField(interval="6 hours")
    id = models.BigIntegerField()
    event_time = models.DateTimeField(null=True)
    price = NumericField()
    quantity = NumericField()
    first_trade_id = models.BigIntegerField()
    last_trade_id = models.BigIntegerField()
    buyer_is_maker = models.BooleanField()
    payload = PayloadField()

    class Meta:
        db_table = "agg_trades"


class MarkPrice(models.Model):
    """A futures contract's mark price at one time, the index below it, and the funding rate it heads for."""

    pk = models.CompositePrimaryKey("symbol", "event_time")
    symbol = models.CharField(max_length=40)
    event_time = TimescaleDateTimeField(interval="1 day")
    mark_price = NumericField()
    index_price = NumericField()
    settle_price = NumericField()
    funding_rate = NumericField(null=True)
    next_funding_time = models.DateTimeField(null=True)
    payload = PayloadField()

    class Meta:
        db_table = "mark_prices"


class ForceOrder(models.Model):
    """One liquidation that the exchange told of: a sample, at most the largest a symbol and second.

    `position` is whose was closed; `side` and the quantities are as told; `notional` is filled quantity times average
    price, in the quote asset."""

    class Position(models.TextChoices):
        LONG = "long", "Long"
        SHORT = "short", "Short"

    pk = models.CompositePrimaryKey("symbol", "trade_time", "content")
    symbol = models.CharField(max_length=40)
    trade_time = TimescaleDateTimeField(interval="7 days")
    content = models.UUIDField()
    event_time = models.DateTimeField()
    position = models.CharField(max_length=5, choices=Position.choices)
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=24)
    time_in_force = models.CharField(max_length=8)
    status = models.CharField(max_length=24)
    price = NumericField()
    average_price = NumericField()
    quantity = NumericField()
    last_filled_quantity = NumericField()
    filled_quantity = NumericField()
    notional = NumericField()
    payload = PayloadField()

    class Meta:
        db_table = "force_orders"
        indexes = [models.Index(fields=["-trade_time"], name="force_orders_time")]


class OpenInterest(models.Model):
    """Open contracts of a symbol in the base asset; `notional` in the quote asset by the mark price of that time, null
    where none was known."""

    pk = models.CompositePrimaryKey("symbol", "time")
    symbol = models.CharField(max_length=40)
    time = TimescaleDateTimeField(interval="7 days")
    open_interest = NumericField()
    notional = NumericField(null=True)

    class Meta:
        db_table = "open_interest"
        indexes = [models.Index(fields=["-time"], name="open_interest_time")]


class DepthUpdate(models.Model):
    """One change of an order book as the exchange told it, of the symbols in DEPTH_UPDATES. Ids are its own;
    `previous_update_id` is where futures' changes follow on, null on spot."""

    pk = models.CompositePrimaryKey("market_type", "symbol", "event_time", "final_update_id")
    market_type = models.CharField(max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    event_time = TimescaleDateTimeField(interval="1 hour")
    first_update_id = models.BigIntegerField()
    final_update_id = models.BigIntegerField()
    previous_update_id = models.BigIntegerField(null=True)
    payload = models.JSONField()

    class Meta:
        db_table = "depth_updates"


class UnrolledHour(models.Model):
    """An hour of one series of events in `source` whose sums are not up to date. `taken`: somebody is at it, and
    nothing was added since."""

    pk = models.CompositePrimaryKey("source", "market_type", "symbol", "hour")
    source = models.CharField(max_length=20)
    market_type = models.CharField(max_length=7)
    symbol = models.CharField(max_length=40)
    hour = models.DateTimeField()
    taken = models.BooleanField(default=False)

    class Meta:
        db_table = "derivatives_unrolled"


class TradeGap(models.Model):
    """Trades that did not come: ids `first` to `last`, both included; `lost` when the exchange has them no longer."""

    class State(models.TextChoices):
        OPEN = "open", "To be fetched"
        FILLED = "filled", "Fetched"
        LOST = "lost", "The exchange has them no longer"

    market_type = models.CharField(max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    found_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    settled_at = models.DateTimeField(null=True)
    missing = models.BigIntegerField(default=0, help_text="How many of them are not stored in the end.")
    error = models.TextField(blank=True, default="")

    class Meta:
        db_table = "agg_trade_gaps"
        constraints = [models.UniqueConstraint(fields=["market_type", "symbol", "first"], name="agg_trade_gaps_first")]
        indexes = [models.Index(fields=["found_at"], condition=models.Q(state="open"), name="agg_trade_gaps_open")]
