"""What is kept of candles: every minute for ever, how far each series is collected, and what the exchange lacks."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from timescale.db.models.fields import TimescaleDateTimeField

from candles.candle import SeriesKey
from markets.models import Market


class NumericField(models.DecimalField):
    """PostgreSQL `numeric` without bounds: a decimal as the exchange wrote it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_digits": 60, "decimal_places": 24, **options})

    def db_type(self, connection: Any) -> str:
        return "numeric"


class MinuteCandle(models.Model):
    """One closed minute of one symbol. `timestamp` is `open_time` as epoch milliseconds; prices and quote volumes are
    in the quote asset."""

    pk = models.CompositePrimaryKey("exchange", "market_type", "symbol", "open_time")
    exchange = models.CharField(max_length=16)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    timestamp = models.BigIntegerField()
    open_time = TimescaleDateTimeField(interval="7 days")
    close_time = models.DateTimeField()
    open_price = NumericField()
    high_price = NumericField()
    low_price = NumericField()
    close_price = NumericField()
    volume = NumericField()
    quote_volume = NumericField()
    trades = models.IntegerField()
    taker_buy_volume = NumericField()
    taker_buy_quote_volume = NumericField()

    class Meta:
        db_table = "candles"


class UnrolledHour(models.Model):
    """A mark: minutes of this hour of a series were written or deleted, and its aggregates do not tell so yet.

    Triggers write them, in the same transaction; `candles.rollups` takes away those whose minutes it has summed up."""

    exchange = models.CharField(max_length=16)
    market_type = models.CharField(max_length=7)
    symbol = models.CharField(max_length=40)
    hour = models.DateTimeField()

    class Meta:
        db_table = "candles_unrolled"
        indexes = [
            models.Index(fields=["exchange", "market_type", "symbol", "hour"], name="candles_unrolled_series"),
        ]


class OneSeries(models.Model):
    """What belongs to one series."""

    exchange = models.CharField(max_length=16, default="binance")
    market_type = models.CharField("market", max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)

    class Meta:
        abstract = True

    @property
    def key(self) -> SeriesKey:
        return SeriesKey(self.exchange, self.market_type, self.symbol)


class SeriesState(OneSeries):
    """How far a series is collected. Of every minute from `covered_from` to `covered_until` (not included) the exchange
    has been asked; collection widens that stretch at both ends and goes on from it after any stop."""

    wanted_from = models.DateTimeField(null=True, help_text="How far back history is wanted.")
    available_from = models.DateTimeField(null=True, help_text="First minute from there on that the exchange has.")
    covered_from = models.DateTimeField(null=True, help_text="The exchange was asked for every minute from here on...")
    covered_until = models.DateTimeField(null=True, help_text="...to here, not included.")
    first_open = models.DateTimeField("first candle", null=True)
    last_open = models.DateTimeField("last candle", null=True)
    count = models.BigIntegerField("candles", default=0)
    is_realtime = models.BooleanField("real time", default=False, help_text="Its newest minute comes each minute.")
    last_error = models.TextField(blank=True, default="")
    last_error_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "candles_state"
        verbose_name = "candle collection"
        verbose_name_plural = "candle collection"
        ordering = ["market_type", "symbol"]
        constraints = [
            models.UniqueConstraint(fields=["exchange", "market_type", "symbol"], name="candles_state_series"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.market_type}"


class Hole(OneSeries):
    """Minutes from `start` to `end` (not included) that the exchange itself does not have, when it was last asked."""

    start = models.DateTimeField()
    end = models.DateTimeField()
    checks = models.IntegerField(default=1, help_text="How often the exchange was asked for them.")
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "candles_holes"
        verbose_name = "candle hole"
        ordering = ["-start"]
        indexes = [
            models.Index(fields=["exchange", "market_type", "symbol", "start"], name="candles_holes_series"),
        ]


class RangeRequest(OneSeries):
    """A range that somebody wants fetched again: everything before `done_until` has been."""

    start = models.DateTimeField("from")
    end = models.DateTimeField("to", help_text="Not included.")
    done_until = models.DateTimeField(null=True, blank=True)
    changed = models.BigIntegerField("candles added or changed", default=0)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "candles_range_requests"
        verbose_name = "candle range to fetch again"
        verbose_name_plural = "candle ranges to fetch again"
        ordering = ["-requested_at"]


class OneTimeframe(OneSeries):
    """What belongs to one timeframe of one series."""

    timeframe = models.CharField(max_length=3)

    class Meta:
        abstract = True


class IndicatorValue(models.Model):
    """One indicator at the close of the candle that opens at `timestamp`: `{"value": ...}`, or a value of each line by
    its name; null in warm-up. What can be known only later (Ichimoku's chikou) is not among them."""

    pk = models.CompositePrimaryKey("exchange", "market_type", "symbol", "timeframe", "timestamp", "indicator_name")
    exchange = models.CharField(max_length=16)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    timeframe = models.CharField(max_length=3)
    indicator_name = models.CharField(max_length=50)
    timestamp = models.DateTimeField()
    value = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "indicators"


class StoredAnalysis(OneTimeframe):
    """What the rules said at the close of the candle that opens at `timestamp`, of `candles` closed candles; levels,
    signals and votes as the API tells them."""

    timestamp = models.DateTimeField()
    trend = models.CharField(max_length=20)
    strength = models.IntegerField(help_text="0 to 100.")
    votes = models.JSONField()
    signals = models.JSONField()
    support_levels = models.JSONField()
    resistance_levels = models.JSONField()
    fibonacci_levels = models.JSONField(null=True)
    candles = models.IntegerField()
    missing = models.IntegerField()
    incomplete = models.IntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "analysis"
        verbose_name = "analysis"
        verbose_name_plural = "analyses"
        ordering = ["-timestamp", "market_type", "symbol"]
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "market_type", "symbol", "timeframe", "timestamp"], name="analysis_of_a_close"
            ),
        ]


class DerivedState(OneTimeframe):
    """How far indicators and analyses of one timeframe are stored, and what of them is to be made again.

    Candles from `reads_from` on (null: every one) have to do with what is stored; a minute that is written before
    `stored_until` is noted in `stale_from`, in its own transaction."""

    stored_from = models.DateTimeField(null=True)
    stored_until = models.DateTimeField(help_text="The end of the newest closed candle that is in.")
    reads_from = models.DateTimeField(null=True)
    stale_from = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "candles_derived"
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "market_type", "symbol", "timeframe"], name="candles_derived_series"
            ),
        ]


class RuleOutcome(OneTimeframe):
    """What one signal rule was worth over a stored stretch: closed candles that open from `first` to `last`, `candles`
    in number. Moves are percent, the signal's way, costs left out; `base_...` are those of any candle."""

    rule = models.CharField(max_length=40)
    after = models.IntegerField("after candles")
    count = models.IntegerField("signals")
    hit_rate = models.FloatField(null=True)
    mean_move = models.FloatField("mean move, %", null=True)
    base_rate = models.FloatField("hit rate of any candle", null=True)
    base_move = models.FloatField("mean move of any candle, %", null=True)
    first = models.DateTimeField()
    last = models.DateTimeField()
    candles = models.IntegerField()
    missing = models.IntegerField()
    incomplete = models.IntegerField()
    computed_at = models.DateTimeField()

    class Meta:
        db_table = "candles_backtests"
        verbose_name = "backtest of a rule"
        verbose_name_plural = "backtests of rules"
        ordering = ["market_type", "symbol", "timeframe", "rule", "after"]
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "market_type", "symbol", "timeframe", "rule", "after"],
                name="candles_backtests_rule",
            ),
        ]
