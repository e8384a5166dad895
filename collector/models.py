"""The collector's own memory: whether it runs, what each minute brought, what happened, what the machine did."""

import uuid

from django.conf import settings
from django.db import models
from timescale.db.models.fields import TimescaleDateTimeField

from markets.models import Market


def market_is_simulated() -> bool:
    return bool(settings.SIMULATED_MARKET)


class RunState(models.Model):
    """The one row that says whether collection is on, and what it has done since the beginning."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    running = models.BooleanField(default=True)
    simulated = models.BooleanField(
        default=market_is_simulated, help_text="The market that this database holds is the simulator's."
    )
    changed_at = models.DateTimeField(auto_now_add=True)
    changed_by = models.CharField(max_length=150, default="start")
    total_requests = models.BigIntegerField(default=0)
    successful_requests = models.BigIntegerField(default=0)
    failed_requests = models.BigIntegerField(default=0)

    class Meta:
        db_table = "collector_state"
        verbose_name = "collector"
        verbose_name_plural = "collector"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="collector_state_one_row")]


class RunChange(models.Model):
    """When collection was switched on or off, and by whom: the cause of the minutes that are missing."""

    at = models.DateTimeField()
    running = models.BooleanField()
    by = models.CharField(max_length=150)

    class Meta:
        db_table = "collector_changes"
        ordering = ["-at"]


class CollectionMinute(models.Model):
    """What one minute's collection set out to do and did. Each part of it adds its share in its own transaction."""

    minute = models.DateTimeField(primary_key=True)
    expected = models.IntegerField(default=0, help_text="Order books that were to be read.")
    stored = models.IntegerField(default=0, help_text="Order books that were stored.")
    failed = models.IntegerField(default=0, help_text="Order books that could not be read or were refused.")
    overrun = models.IntegerField(default=0, help_text="Order books not read because the minute was over.")
    causes = models.JSONField(default=dict, help_text="Why books are missing: number by cause.")
    requests = models.IntegerField(default=0)
    successful_requests = models.IntegerField(default=0)
    failed_requests = models.IntegerField(default=0)
    weight_spot = models.IntegerField(default=0)
    weight_futures = models.IntegerField(default=0)
    rows = models.IntegerField(default=0, help_text="Snapshot rows written.")
    network_seconds = models.FloatField(default=0)
    compute_seconds = models.FloatField(default=0)
    store_seconds = models.FloatField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    closed = models.BooleanField(default=False, help_text="The minute is over and its figures are final.")

    class Meta:
        db_table = "collector_minutes"
        ordering = ["-minute"]

    @property
    def partial(self) -> bool:
        return self.stored < self.expected

    @property
    def seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


class Outage(models.Model):
    """When something was away without which nothing is collected: the cause of the minutes that are missing."""

    class Cause(models.TextChoices):
        PLATFORM = "platform", "platform down"
        REDIS = "redis", "Redis away"
        DATABASE = "database", "database away"

    cause = models.CharField(max_length=16, choices=Cause.choices)
    start = models.DateTimeField()
    end = models.DateTimeField()

    class Meta:
        db_table = "collector_outages"
        ordering = ["-start"]


class VenueLimit(models.Model):
    """What the exchange says of itself: its request budget, and how far its clock is from ours."""

    exchange = models.CharField(max_length=16)
    market = models.CharField(max_length=7, choices=Market.choices)
    weight_per_minute = models.IntegerField()
    clock_offset_ms = models.IntegerField(null=True, help_text="Exchange's clock minus ours, milliseconds.")
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "venue_limits"
        constraints = [models.UniqueConstraint(fields=["exchange", "market"], name="venue_limits_exchange_market")]


class StreamEvent(models.Model):
    """Something that happened to a connection, a book or the collector, kept for 14 days."""

    class Type(models.TextChoices):
        CONNECTED = "CONNECTED"
        DISCONNECTED = "DISCONNECTED"
        ERROR = "ERROR"
        RECONNECTING = "RECONNECTING"
        SNAPSHOT_LOADED = "SNAPSHOT_LOADED"
        GAP_DETECTED = "GAP_DETECTED"
        UPDATE_FAILED = "UPDATE_FAILED"
        RATE_LIMITED = "RATE_LIMITED"
        BANNED = "BANNED"
        BOOK_REJECTED = "BOOK_REJECTED"
        MINUTE_PARTIAL = "MINUTE_PARTIAL"
        SYMBOL_REFUSED = "SYMBOL_REFUSED"
        CLOCK_SKEW = "CLOCK_SKEW"
        AUDIT_FAILED = "AUDIT_FAILED"

    pk = models.CompositePrimaryKey("time", "id")
    time = TimescaleDateTimeField(interval="1 day")
    id = models.UUIDField(default=uuid.uuid4)
    symbol = models.CharField(max_length=40, blank=True, default="")
    market_type = models.CharField(max_length=7, blank=True, default="")
    event_type = models.CharField(max_length=24, choices=Type.choices)
    message = models.TextField(blank=True, default="")
    metadata = models.JSONField(default=dict)

    class Meta:
        db_table = "websocket_events"
        indexes = [models.Index(fields=["symbol", "-time"], name="websocket_events_symbol_time")]


class BookAudit(models.Model):
    """One comparison of a live book with a snapshot of the exchange; kept for 60 days."""

    class Cause(models.TextChoices):
        HOURLY = "hourly", "hourly"
        ASKED = "asked", "asked for"
        WRONG = "wrong", "the book was wrong"

    time = models.DateTimeField(db_index=True)
    market_type = models.CharField("market", max_length=7, choices=Market.choices)
    symbol = models.CharField(max_length=40)
    cause = models.CharField(max_length=8, choices=Cause.choices)
    sequence = models.BigIntegerField(help_text="The exchange's id of the snapshot.")
    compared = models.IntegerField(help_text="Levels that both know.")
    equal = models.IntegerField(help_text="Levels with the same quantity, exactly.")
    unsettled = models.IntegerField(help_text="Levels left out: they had changed since the snapshot.")
    by_distance = models.JSONField(
        default=list, help_text="Percent from the best price, levels compared within, and equal ones."
    )
    differences = models.JSONField(
        default=list, help_text="Of the first hundred levels a side: side, price, quantity held, quantity told."
    )

    class Meta:
        db_table = "book_audits"
        ordering = ["-time"]
        verbose_name = "book audit"
        indexes = [models.Index(fields=["symbol", "market_type", "-time"], name="book_audits_book_time")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.market_type} {self.time:%Y-%m-%d %H:%M}"

    @property
    def share(self) -> float | None:
        """Percent of the compared levels that were equal."""
        return 100 * self.equal / self.compared if self.compared else None


class SystemMetric(models.Model):
    """One measurement of the system in one minute, kept for 60 days."""

    pk = models.CompositePrimaryKey("time", "id")
    time = TimescaleDateTimeField(interval="7 days")
    id = models.UUIDField(default=uuid.uuid4)
    name = models.CharField(max_length=64)
    value = models.FloatField()
    metadata = models.JSONField(default=dict)

    class Meta:
        db_table = "system_metrics"
        indexes = [models.Index(fields=["name", "-time"], name="system_metrics_name_time")]


class PastLoad(models.Model):
    """How far the simulated market's past is loaded: everything before `until`, newest first. One row, demo only."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    until = models.DateTimeField()
    total = models.IntegerField(default=0)
    done = models.IntegerField(default=0)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "past_load"
