"""What is kept of order books: the volumes within each band, minute by minute, and the top of the book itself."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from timescale.db.models.fields import TimescaleDateTimeField

from markets.fields import RealField
from markets.models import Market

# Table: its time column, and how long its rows are kept.
LIFETIMES = {
    "snapshots": ("timestamp", timedelta(days=60)),
    "depth_snapshots": ("time", timedelta(days=14)),
    "orderbook_seconds": ("time", timedelta(days=2)),
}


class Snapshot(models.Model):
    """BID and ASK liquidity of one symbol, market and band in one UTC minute. Values are in the quote asset.

    An incomplete side's sums are lower bounds: the book that was read did not reach the band's bound."""

    pk = models.CompositePrimaryKey("symbol", "market_type", "depth", "timestamp")
    symbol = models.CharField(max_length=40)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    depth = models.DecimalField(max_digits=5, decimal_places=2)
    timestamp = TimescaleDateTimeField(interval="7 days")
    bid_volume = RealField()
    ask_volume = RealField()
    bid_volume_usd = RealField()
    ask_volume_usd = RealField()
    bid_complete = models.BooleanField()
    ask_complete = models.BooleanField()

    class Meta:
        db_table = "snapshots"
        indexes = [models.Index(fields=["-timestamp"], name="snapshots_timestamp")]


class DepthSnapshot(models.Model):
    """The order book that was read in one UTC minute: its top levels, best first, and how far all of it reached.

    `bid_reach` and `ask_reach` are percent from the best price of the side, null when the whole side was known."""

    pk = models.CompositePrimaryKey("symbol", "market_type", "time")
    symbol = models.CharField(max_length=40)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    time = TimescaleDateTimeField(interval="1 day")
    received_at = models.DateTimeField()
    event_time = models.DateTimeField(null=True)
    last_update_id = models.BigIntegerField()
    best_bid = models.DecimalField(max_digits=38, decimal_places=18)
    best_ask = models.DecimalField(max_digits=38, decimal_places=18)
    bid_prices = ArrayField(models.FloatField())
    bid_quantities = ArrayField(models.FloatField())
    ask_prices = ArrayField(models.FloatField())
    ask_quantities = ArrayField(models.FloatField())
    bid_levels = models.IntegerField()
    ask_levels = models.IntegerField()
    bid_reach = RealField(null=True)
    ask_reach = RealField(null=True)
    depth_limit = models.IntegerField()
    source = models.CharField(max_length=16)

    class Meta:
        db_table = "depth_snapshots"
        indexes = [models.Index(fields=["-time"], name="depth_snapshots_time")]


class OrderBookSecond(models.Model):
    """The top of a live order book in one second, best first. Seconds in which the book was not known to be right have
    none."""

    pk = models.CompositePrimaryKey("symbol", "market_type", "time")
    symbol = models.CharField(max_length=40)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    time = TimescaleDateTimeField(interval="6 hours")
    last_update_id = models.BigIntegerField()
    bid_prices = ArrayField(models.FloatField())
    bid_quantities = ArrayField(RealField())
    ask_prices = ArrayField(models.FloatField())
    ask_quantities = ArrayField(RealField())

    class Meta:
        db_table = "orderbook_seconds"
        indexes = [models.Index(fields=["-time"], name="orderbook_seconds_time")]


class UnrolledHour(models.Model):
    """A mark: rows of this hour were added to `snapshots`, and its hourly and daily aggregates do not hold them yet.

    A trigger writes one for each insert and hour, in the same transaction; `depth.rollups` takes away those whose
    rows it has summed up. Marks are only ever added and taken away, so writers never wait for one another."""

    hour = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "snapshots_unrolled"


class StoredBatch(models.Model):
    """A batch that is stored, so that it is not stored again when it is tried again. Kept for a week."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "stored_batches"


class SeriesVersion(models.Model):
    """A number that rises with every commit that adds books or rows of this symbol on this market, in the same
    transaction: whatever is cached names the version that it was made from. Numbers come from a sequence and are never
    given twice, not even after a transaction that was rolled back."""

    pk = models.CompositePrimaryKey("symbol", "market_type")
    symbol = models.CharField(max_length=40)
    market_type = models.CharField(max_length=7, choices=Market.choices)
    version = models.BigIntegerField()

    class Meta:
        db_table = "series_versions"
