"""What every resource has in common: who asks is settled and counted before anything else happens."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.exceptions import ApiError
from markets.errors import NotCollected
from markets.models import Symbol
from markets.selectors import find


class ApiView(APIView):
    http_method_names = ["get", "post", "delete", "head"]
    format_kwarg = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As the framework's, but counted first: refusals tell the rate too, and wrong keys cannot be tried freely."""
        try:
            self.perform_authentication(request)
        finally:
            self.check_throttles(request)
        request.version = request.versioning_scheme = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request, *args, **kwargs)
        self.check_permissions(request)


class FirstRenderer(BaseContentNegotiation):
    """For resources that have one form only: whatever the client would rather have is not asked."""

    def select_parser(self, request: Request, parsers: list[Any]) -> Any:
        return parsers[0] if parsers else None

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], str(renderers[0].media_type)


class UnknownAddress(ApiView):
    permission_classes = ()
    schema = None
    default_response_headers: Mapping[str, str] = {}  # no method is allowed here, and none is listed

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotFound("There is nothing at this address")


def find_symbol(name: str, market: str | None) -> Symbol:
    """The collected symbol on this market; with no market named SPOT, or FUTURES when it is collected only there.

    Raises UnknownSymbol and NotCollected."""
    try:
        return find(name, market or "SPOT")
    except NotCollected:
        if market:
            raise
    try:
        return find(name, "FUTURES")
    except NotCollected as error:
        raise NotCollected(name) from error


def no_data(name: str) -> ApiError:
    return ApiError(404, "no_data", f"{name} is collected, but nothing of it is stored yet", "symbol")
