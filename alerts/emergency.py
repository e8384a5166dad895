"""Alerts for while the database or Redis is away, and about the spool then: from a copy of the rules on disk, straight
to the channels.

The alert is stored when they are back; what was told meanwhile is not told again then."""

import logging
import threading
from datetime import datetime
from pathlib import Path

import msgspec
from django.conf import settings

from alerts.channels import CHANNELS, Message, Undelivered
from alerts.models import Rule
from alerts.rules import Direction, Kind, Memory, Reading, Threshold, Verdict, decide, sentence
from alerts.services import targets

logger = logging.getLogger(__name__)

KINDS = (Kind.DATABASE_AWAY, Kind.REDIS_AWAY, Kind.SPOOL_FILLING)
MOST_TOLD = 50


class Standing(msgspec.Struct, frozen=True):
    """What is needed of a rule to tell its alert without the database."""

    name: str
    kind: str
    threshold: float
    targets: list[tuple[str, str]]
    secret: str


class Held(msgspec.Struct):
    """The file: the rules, and the episodes that were told (`episode`), newest last."""

    rules: list[Standing] = []
    told: list[str] = []


_lock = threading.Lock()


def _file() -> Path:
    return settings.ALERT_LOG.with_name("alert-standby.json")


def _read() -> Held:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=Held)
    except (OSError, msgspec.DecodeError):
        return Held()


def _write(held: Held) -> None:
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(msgspec.json.encode(held))
    fresh.rename(path)


def remember() -> None:
    """Copies the rules that matter to disk; with the database there."""
    found = Rule.objects.filter(enabled=True, kind__in=[kind.value for kind in KINDS])
    rules = [Standing(r.name, r.kind, float(r.threshold or 0.0), targets(r), r.webhook_secret) for r in found]
    with _lock:
        held = _read()
        if held.rules != rules:
            _write(Held(rules, held.told))


def episode(kind: Kind, rule: str, since: float) -> str:
    """What names one absence to one rule; `since` in epoch seconds."""
    return f"{kind.value}:{since:.0f}:{rule}"


def told_to(kind: Kind, since: float) -> list[str]:
    """The rules that were told of an absence while it lasted."""
    begin = episode(kind, "", since)
    return [name.removeprefix(begin) for name in _read().told if name.startswith(begin)]


def tell(kind: Kind, since: float, now: datetime, value: float | None = None) -> None:
    """Tells of an absence that lasts since then (epoch seconds), each rule once, without waiting for the channels.
    `value` is what the rule looks at, where that is not how long it lasts."""
    value = now.timestamp() - since if value is None else value
    with _lock:
        held = _read()
        due = [
            (rule, message)
            for rule in held.rules
            if rule.kind == kind.value and (message := _message(kind, rule, since, now, value)) is not None
        ]
        due = [(rule, message) for rule, message in due if message.id not in held.told]
        if not due:
            return
        _write(Held(held.rules, [*held.told, *(message.id for _, message in due)][-MOST_TOLD:]))
    for rule, message in due:
        threading.Thread(target=_send, args=(rule, message), name="alert", daemon=True).start()


def _message(kind: Kind, rule: Standing, since: float, now: datetime, value: float) -> Message | None:
    limits = Threshold(Direction.ABOVE, rule.threshold)
    reading = Reading(kind.value.split("_")[0], value, now)
    if decide(limits, Memory(), reading)[0] is not Verdict.FIRED:
        return None
    text = sentence(kind, limits, reading)
    body = {
        "rule": rule.name,
        "kind": kind.value,
        "subject": reading.subject,
        "timestamp": int(now.timestamp() * 1000),
        "value": reading.value,
        "threshold": rule.threshold,
        "message": text,
    }
    return Message(episode(kind, rule.name, since), rule.name, text, now, body, rule.secret)


def _send(rule: Standing, message: Message) -> None:
    for channel, target in rule.targets:
        try:
            CHANNELS[channel](message, target)
        except Undelivered as error:
            logger.warning("alert %s by %s: %s", message.id, channel, error)
