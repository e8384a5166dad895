"""The registry: which markets exist, which of them are collected, and how the last collection of each went."""

from django.db import models


class Market(models.TextChoices):
    SPOT = "SPOT", "Spot"
    FUTURES = "FUTURES", "USD-M futures"


class Symbol(models.Model):
    """One symbol on one market of one exchange. A pair that trades on both markets has two rows."""

    exchange = models.CharField(max_length=16, default="binance")
    market = models.CharField(max_length=7, choices=Market.choices)
    name = models.CharField("symbol", max_length=40)
    base = models.CharField("base asset", max_length=32)
    quote = models.CharField("quote asset", max_length=32)
    tick_size = models.DecimalField(max_digits=38, decimal_places=18, help_text="Smallest step of the price.")
    lot_size = models.DecimalField(max_digits=38, decimal_places=18, help_text="Smallest step of the quantity.")
    status = models.CharField(max_length=24, help_text="The exchange's own word; only TRADING symbols are polled.")
    quote_volume = models.FloatField("24 h volume", default=0, help_text="In the quote asset; orders the symbols.")
    collected = models.BooleanField(default=False, help_text="Polled every minute; its liquidity is kept.")
    live = models.BooleanField(default=False, help_text="Its order book is streamed all the time.")

    depth_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Levels asked for on each side; chosen from the request budget, kept for long."
    )
    last_minute = models.DateTimeField(null=True, blank=True, help_text="Newest minute that is stored.")
    bid_reach = models.FloatField(null=True, blank=True, help_text="Percent below best bid that the last book reached.")
    ask_reach = models.FloatField(null=True, blank=True, help_text="Percent above best ask that the last book reached.")
    bid_levels = models.PositiveIntegerField(null=True, blank=True)
    ask_levels = models.PositiveIntegerField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="Minutes in a row that could not be collected.")
    last_error = models.TextField(blank=True, default="")
    last_error_at = models.DateTimeField(null=True, blank=True)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "symbols"
        ordering = ["name", "-market"]
        constraints = [
            models.UniqueConstraint(fields=["exchange", "market", "name"], name="symbols_exchange_market_name"),
        ]
        indexes = [models.Index(fields=["name"], name="symbols_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.market}"
