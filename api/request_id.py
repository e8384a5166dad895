"""Beside a request's way: the id that its answer and its log lines carry. Every process loads this, so it is light."""

import logging
import re
import uuid
from contextvars import ContextVar

current: ContextVar[str] = ContextVar("request_id", default="-")
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def request_id() -> str:
    """The id of the request that is being answered here; "-" outside of one."""
    return current.get()


def chosen_id(given: str) -> str:
    """The caller's own where it is a short plain word, else a new one."""
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex


class RequestIdFilter(logging.Filter):
    """Gives every log record the id of the request that it was written for."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True
