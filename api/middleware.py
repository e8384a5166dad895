"""First on a request's way in, last on its answer's way out: the request id, what is left of the rate limit, and
answers that are kept."""

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from api.answers import keep

_current: ContextVar[str] = ContextVar("request_id", default="-")
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def request_id() -> str:
    """The id of the request that is being answered here; "-" outside of one."""
    return _current.get()


def chosen_id(given: str) -> str:
    """The caller's own where it is a short plain word, else a new one."""
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex


class RequestIdFilter(logging.Filter):
    """Gives every log record the id of the request that it was written for."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _current.get()
        return True


class RequestIdMiddleware:
    """Puts X-Request-ID on every answer, and has answers kept that may be served again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _current.set(chosen_id(request.headers.get("X-Request-ID", "")))
        try:
            response = self.get_response(request)
            keep(request, response)
            response["X-Request-ID"] = _current.get()
        finally:
            _current.reset(token)
        rate = getattr(request, "rate", None)
        if rate is not None:
            response["X-RateLimit-Limit"] = str(rate.limit)
            response["X-RateLimit-Remaining"] = str(rate.remaining)
        return response
