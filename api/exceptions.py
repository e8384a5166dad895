"""Errors on their way out: whatever goes wrong becomes one JSON shape that tells nothing of the inside."""

import logging
from http import HTTPStatus
from math import ceil
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response

from api.renderers import ApiRenderer, encode
from api.request_id import request_id
from api.times import epoch_ms
from markets.errors import NotCollected, UnknownSymbol
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
CODES = {
    drf.ParseError: "invalid_json",
    drf.NotAuthenticated: "not_authenticated",
    drf.AuthenticationFailed: "invalid_key",
    drf.PermissionDenied: "permission_denied",
    drf.NotFound: "not_found",
    drf.MethodNotAllowed: "method_not_allowed",
    drf.NotAcceptable: "not_acceptable",
    drf.UnsupportedMediaType: "unsupported_media_type",
    drf.Throttled: "rate_limited",
}


class ApiError(Exception):
    """An answer that is an error: HTTP status, code in snake_case, a sentence, and the parameter to blame."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field
        self.headers = headers or {}


def error_body(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    return {
        "success": False,
        "error": message,
        "code": code,
        "field": field,
        "requestId": request_id(),
        "timestamp": epoch_ms(timezone.now()),
    }


def exception_handler(raised: Exception, context: dict[str, Any]) -> Response:
    """The answer to anything that a view raised. Always JSON, whatever the view or the client would rather have."""
    error = _translated(raised)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        trace = raised if error.status == HTTPStatus.INTERNAL_SERVER_ERROR else None
        logger.error("%s %s: %r", context["request"].method, context["request"].path, raised, exc_info=trace)
    context["request"].accepted_renderer = ApiRenderer()
    context["request"].accepted_media_type = ApiRenderer.media_type
    return Response(error_body(error.code, error.message, error.field), status=error.status, headers=error.headers)


def _translated(raised: Exception) -> ApiError:
    match raised:
        case ApiError():
            return raised
        case UnknownSymbol():
            return ApiError(404, "unknown_symbol", f"Unknown symbol {shown(raised.name)}", "symbol")
        case NotCollected():
            where = f" on {raised.market}" if raised.market else ""
            return ApiError(404, "not_collected", f"{shown(raised.name)} is not collected{where}", "symbol")
        case drf.ValidationError():
            return _invalid(raised)
        case drf.APIException():
            return _from_framework(raised)
        case Http404():
            return ApiError(404, "not_found", "There is nothing at this address")
        case PermissionDenied():
            return ApiError(403, "permission_denied", "This is not allowed")
        case RequestDataTooBig():
            return ApiError(413, "body_too_large", "The body is too large")
        case SuspiciousOperation() | UnreadablePostError():
            return ApiError(400, "bad_request", "The request cannot be read")
    if isinstance(raised, DATABASE_AWAY):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return ApiError(503, "database_unavailable", "The database cannot be reached", None, headers)
    return ApiError(500, "internal_error", "Something went wrong on the server")


def _from_framework(raised: drf.APIException) -> ApiError:
    headers = {}
    if getattr(raised, "auth_header", None):
        headers["WWW-Authenticate"] = raised.auth_header
    if isinstance(raised, drf.Throttled):
        headers["Retry-After"] = str(max(1, ceil(raised.wait or 1)))
        return ApiError(429, "rate_limited", "Too many requests", None, headers)
    code = next((code for kind, code in CODES.items() if isinstance(raised, kind)), "error")
    if str(raised.detail).startswith("CSRF"):
        code = "csrf_failed"
    return ApiError(raised.status_code, code, str(raised.detail).rstrip("."), None, headers)


def _invalid(raised: drf.ValidationError) -> ApiError:
    """The first thing that a serializer objected to."""
    field, detail = None, raised.detail
    while isinstance(detail, dict | list) and detail:
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()))
            field = None if name == "non_field_errors" else str(name)
        else:
            detail = detail[0]
    if getattr(detail, "code", "") == "required":
        return ApiError(400, "missing_parameter", f"{field} is required", field)
    sentence = str(detail).rstrip(".")
    return ApiError(400, "invalid_parameter", f"{field}: {sentence}" if field else sentence, field)


def shown(name: str) -> str:
    """A stranger's text as it may be repeated to them: short and printable."""
    short = name if len(name) <= 40 else name[:40] + "…"
    return "".join(letter if letter.isprintable() else "�" for letter in short) or "(empty)"


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/metrics")) or request.path == "/api"


def _json(status: int, code: str, message: str) -> HttpResponse:
    return HttpResponse(encode(error_body(code, message)), status=status, content_type=ApiRenderer.media_type)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _json(400, "bad_request", "The request cannot be read")
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _json(404, "not_found", "There is nothing at this address")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        return _json(500, "internal_error", "Something went wrong on the server")
    return defaults.server_error(request)
