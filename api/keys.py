"""Keys of programs: made here, checked here. The key itself is `tp_<prefix>.<secret>`; only its hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from api.models import ApiKey, Scope

USE_RECORDED_EVERY = timedelta(minutes=1)
_NOBODY = "0" * 64


class InvalidKey(Exception):
    """The key cannot be used; the message says why as far as its bearer may know."""


class UnknownScope(ValueError):
    def __init__(self, scope: str) -> None:
        super().__init__(f"unknown scope {scope!r}; the scopes are {', '.join(Scope.values)}")


def issue(name: str, scopes: Sequence[str], expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """A new key: its row, and the key as its bearer will send it, which cannot be had again.

    Raises UnknownScope, and ValueError when the name is empty, too long or taken."""
    for scope in scopes:
        if scope not in Scope.values:
            raise UnknownScope(scope)
    if not name.strip() or len(name) > 100:
        raise ValueError("the name must have 1 to 100 characters")
    if ApiKey.objects.filter(name=name).exists():
        raise ValueError(f"there is already a key named {name!r}")
    prefix = secrets.token_hex(4)
    key = f"tp_{prefix}.{secrets.token_urlsafe(32)}"
    chosen = list(dict.fromkeys(scopes))
    row = ApiKey.objects.create(name=name, prefix=prefix, key_hash=_hash(key), scopes=chosen, expires_at=expires_at)
    return row, key


def verify(key: str, now: datetime) -> ApiKey:
    """The row of a key that may be used now; its last use is recorded at most once a minute. Raises InvalidKey."""
    prefix = key.removeprefix("tp_").partition(".")[0]
    plain = len(prefix) <= 12 and prefix.isascii() and prefix.isalnum()
    row = ApiKey.objects.filter(prefix=prefix).first() if plain else None
    if not hmac.compare_digest(_hash(key), row.key_hash if row else _NOBODY) or row is None:
        raise InvalidKey("The API key is not known")
    if row.revoked:
        raise InvalidKey("The API key has been revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise InvalidKey("The API key has expired")
    _record_use(row, now)
    return row


def _record_use(row: ApiKey, now: datetime) -> None:
    stale = now - USE_RECORDED_EVERY
    if row.last_used_at is None or row.last_used_at <= stale:
        unrecorded = Q(last_used_at__isnull=True) | Q(last_used_at__lte=stale)
        ApiKey.objects.filter(unrecorded, pk=row.pk).update(last_used_at=now)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
