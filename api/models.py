"""Keys of programs that write or control. Only a hash is kept; the key itself is shown once."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Scope(models.TextChoices):
    READ = "read", "Read"
    SNAPSHOTS_WRITE = "snapshots:write", "Write snapshots"
    COLLECTOR_CONTROL = "collector:control", "Start and stop the collector"
    SYMBOLS_WRITE = "symbols:write", "Choose the collected symbols"
    ALERTS_WRITE = "alerts:write", "Change what is watched"


class ApiKey(models.Model):
    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    key_hash = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked = models.BooleanField(default=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "api_keys"
        ordering = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"
