"""At the end of an alert's way: a line in a file, an email, a signed request. Each raises Undelivered with the reason.

A webhook gets a POST with JSON. `X-Alert-Signature` is `sha256=` and the HMAC-SHA256 of "<X-Alert-Timestamp>.<body>"
under the rule's secret; `X-Alert-Id` stays the same when a delivery is tried again, so that it can be told apart."""

import fcntl
import hashlib
import hmac
import json
import os
import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.mail import send_mail

from alerts.outward import session

TIMEOUT = (3.05, 7)  # seconds to connect, to answer
LOG_LIMIT = 20 * 1024 * 1024  # bytes; then the file becomes alert.log.1


class Undelivered(Exception):
    """The message says why; it may work later."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told; `id` is the delivery's, `body` what a program gets, `text` what a person reads."""

    id: str
    rule: str
    text: str
    at: datetime
    body: dict[str, Any]
    secret: str = ""


def to_log(message: Message, _: str = "") -> None:
    """One line: time, rule, text, separated by tabs."""
    path: Path = settings.ALERT_LOG
    words = [message.at.astimezone(UTC).isoformat(timespec="seconds"), message.rule, message.text]
    line = "\t".join(word.replace("\t", " ").replace("\n", " ") for word in words) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _append(path, line.encode())
    except OSError as error:
        raise Undelivered(f"{path.name}: {error.strerror}") from error


def _append(path: Path, line: bytes) -> None:
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size + len(line) > LOG_LIMIT:
            path.replace(path.with_name(path.name + ".1"))
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)
    finally:
        os.close(lock)


def to_email(message: Message, address: str) -> None:
    if not settings.EMAILS:
        raise Undelivered("there is no mail server: EMAIL_URL is not set")
    details = json.dumps(message.body, indent=2, ensure_ascii=False)
    subject = f"[{message.rule}] {message.text}".replace("\n", " ").replace("\r", " ")[:200]
    try:
        send_mail(subject, f"{message.text}\n\n{details}\n", settings.DEFAULT_FROM_EMAIL, [address])
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Undelivered(f"{type(error).__name__}: {error}"[:500]) from error


def to_webhook(message: Message, url: str) -> None:
    body = json.dumps(message.body, separators=(",", ":"), ensure_ascii=False).encode()
    stamp = str(int(time.time()))
    headers = {"Content-Type": "application/json", "X-Alert-Id": message.id, "X-Alert-Timestamp": stamp}
    if message.secret:
        headers["X-Alert-Signature"] = sign(message.secret, stamp, body)
    try:
        with session() as outward:
            answer = outward.post(url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True)
            answer.close()
    except (requests.RequestException, UnicodeError, ValueError) as error:
        raise Undelivered(f"{type(error).__name__}: {error}"[:500]) from error
    if not 200 <= answer.status_code < 300:
        raise Undelivered(f"the receiver answered {answer.status_code}")


def sign(secret: str, stamp: str, body: bytes) -> str:
    """What `X-Alert-Signature` holds."""
    return "sha256=" + hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


CHANNELS: dict[str, Callable[[Message, str], None]] = {"log": to_log, "email": to_email, "webhook": to_webhook}
