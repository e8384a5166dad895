"""First on a request's way in, last on its answer's way out: the request id, what is left of the rate limit, and
answers that are kept."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from api.answers import keep
from api.request_id import chosen_id, current


class RequestIdMiddleware:
    """Puts X-Request-ID on every answer, and has answers kept that may be served again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = current.set(chosen_id(request.headers.get("X-Request-ID", "")))
        try:
            response = self.get_response(request)
            keep(request, response)
            response["X-Request-ID"] = current.get()
        finally:
            current.reset(token)
        rate = getattr(request, "rate", None)
        if rate is not None:
            response["X-RateLimit-Limit"] = str(rate.limit)
            response["X-RateLimit-Remaining"] = str(rate.remaining)
        return response
