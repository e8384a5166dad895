"""What is watched, what was seen, and to whom it was told."""

import math
from datetime import timedelta
from urllib.parse import urlsplit

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator, validate_email
from django.db import models

from alerts.addresses import is_allowed_host
from alerts.rules import MEANINGS, Direction, Kind, Threshold
from markets.models import Market, Symbol

KEPT = timedelta(days=90)  # firings and their deliveries
MOST_RULES = 500  # all of them are judged every minute


def _choices(kinds: type[Kind]) -> list[tuple[str, str]]:
    return [(kind.value, MEANINGS[kind].title) for kind in kinds]


class Rule(models.Model):
    """One thing that is watched, and whom to tell."""

    class Side(models.TextChoices):
        LONG = "long", "Longs liquidated"
        SHORT = "short", "Shorts liquidated"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=32, choices=_choices(Kind))
    enabled = models.BooleanField(default=True)
    symbol = models.CharField(
        max_length=40, blank=True, help_text="As the exchange spells it. Empty: every collected one."
    )
    market = models.CharField(max_length=7, choices=Market.choices, blank=True, help_text="Empty: both.")
    band = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Percent from the best prices; rules of a band.",
    )
    side = models.CharField(max_length=5, choices=Side.choices, blank=True, help_text="Of liquidations. Empty: both.")
    window_minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    direction = models.CharField(max_length=6, choices=[(d.value, d.value) for d in Direction], blank=True)
    threshold = models.FloatField(null=True, blank=True, help_text="Empty: the kind's usual one.")
    hysteresis = models.FloatField(
        default=10,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Percent of the threshold that the value has to come back by before the rule can fire again.",
    )
    cooldown_minutes = models.PositiveIntegerField(
        default=15, validators=[MaxValueValidator(10_080)], help_text="Least time between two alerts of one symbol."
    )
    to_log = models.BooleanField("alert.log", default=True)
    to_page = models.BooleanField("page", default=True)
    email = models.CharField("emails", max_length=500, blank=True, help_text="Addresses, separated by commas.")
    webhook_url = models.CharField("webhook", max_length=500, blank=True, help_text="http:// or https://")
    webhook_secret = models.CharField(
        max_length=200, blank=True, help_text="Signs the webhook's body (HMAC-SHA256). Not shown again by the API."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "alert_rules"
        ordering = ["name"]
        verbose_name = "alert rule"

    def __str__(self) -> str:
        return self.name

    def watches(self, symbol: str, market: str) -> bool:
        """Whether the rule is about this symbol of this market. One that names neither is about all."""
        return self.symbol in {"", symbol} and self.market in {"", market}

    def clean(self) -> None:
        """Raises ValidationError for settings that the kind does not have, or cannot do without, and for a rule beyond
        MOST_RULES."""
        if self.pk is None and Rule.objects.count() >= MOST_RULES:
            raise ValidationError({NON_FIELD_ERRORS: f"there are {MOST_RULES} rules already; delete one first"})
        meaning = MEANINGS.get(Kind(self.kind)) if self.kind in set(Kind) else None
        if meaning is None:
            return  # the field says so itself
        errors: dict[str, str] = {}
        settings = {"band": ("band", self.band), "window": ("window_minutes", self.window_minutes)}
        settings |= {"side": ("side", self.side)}
        for name, (attribute, value) in settings.items():
            if name in meaning.needs and not value:
                errors[attribute] = f"{meaning.title} needs it"
            if value and name not in (*meaning.needs, *meaning.takes):
                errors[attribute] = f"{meaning.title} has none"
        if not meaning.symbols:
            errors |= {
                name: f"{meaning.title} is about the whole system"
                for name in ("symbol", "market")
                if getattr(self, name)
            }
        if self.threshold is not None and not math.isfinite(self.threshold):
            errors["threshold"] = "must be a number"
        if self.symbol and not Symbol.objects.filter(name=self.symbol).exists():
            errors["symbol"] = f"unknown symbol {self.symbol}"
        errors |= self._wrong_targets()
        if errors:
            raise ValidationError(errors)

    def _wrong_targets(self) -> dict[str, str]:
        errors: dict[str, str] = {}
        try:
            if self.webhook_url:
                URLValidator(schemes=["http", "https"])(_as_public(self.webhook_url))
                if not is_allowed_host(urlsplit(self.webhook_url).hostname or ""):
                    errors["webhook_url"] = "is not an address that webhooks may go to"
        except ValidationError:
            errors["webhook_url"] = "must be an http:// or https:// address"
        try:
            for address in filter(None, map(str.strip, self.email.split(","))):
                validate_email(address)
        except ValidationError:
            errors["email"] = f"{address!r} is no email address"
        return errors

    def save(self, *args: object, **options: object) -> None:
        meaning = MEANINGS[Kind(self.kind)]
        self.direction = self.direction or meaning.direction.value
        self.threshold = meaning.threshold if self.threshold is None else self.threshold
        super().save(*args, **options)

    def limits(self) -> Threshold:
        return Threshold(
            Direction(self.direction),
            float(self.threshold or 0.0),
            self.hysteresis,
            timedelta(minutes=self.cooldown_minutes),
        )


def _as_public(url: str) -> str:
    """The validator knows no names of one word, which are usual inside a company."""
    return url.replace("://localhost", "://localhost.localdomain", 1)


class RuleMemory(models.Model):
    """What a rule remembers of one subject, so that a restart does not make it fire again."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="memories")
    subject = models.CharField(max_length=80)
    active = models.BooleanField(default=False)
    fired_at = models.DateTimeField(null=True)
    key = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        db_table = "alert_memories"
        constraints = [models.UniqueConstraint(fields=["rule", "subject"], name="alert_memories_rule_subject")]


class Firing(models.Model):
    """One alert. `value` is as true as `bound` says."""

    rule = models.ForeignKey(Rule, on_delete=models.SET_NULL, null=True, related_name="firings")
    rule_name = models.CharField(max_length=100)
    kind = models.CharField(max_length=32, choices=_choices(Kind))
    subject = models.CharField(max_length=80)
    symbol = models.CharField(max_length=40, blank=True)
    market = models.CharField(max_length=7, blank=True)
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    value = models.FloatField()
    threshold = models.FloatField()
    bound = models.CharField(max_length=8)
    message = models.TextField()
    details = models.JSONField(default=dict)
    on_page = models.BooleanField(default=True)

    class Meta:
        db_table = "alert_firings"
        ordering = ["-fired_at", "-id"]
        verbose_name = "alert"
        indexes = [
            models.Index(fields=["-fired_at", "-id"], name="alert_firings_newest"),
            models.Index(fields=["symbol", "-fired_at"], name="alert_firings_symbol"),
        ]

    def __str__(self) -> str:
        return self.message


class Channel(models.TextChoices):
    LOG = "log", "alert.log"
    EMAIL = "email", "Email"
    WEBHOOK = "webhook", "Webhook"


class Delivery(models.Model):
    """One alert on its way to one place. What could not be delivered in all its tries is `dead`, and stays listed."""

    class State(models.TextChoices):
        PENDING = "pending", "On its way"
        DELIVERED = "delivered", "Delivered"
        DEAD = "dead", "Given up"

    firing = models.ForeignKey(Firing, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    target = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        db_table = "alert_deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["firing", "channel", "target"], name="alert_deliveries_once"),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="pending"), name="alert_deliveries_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.target}".strip()
