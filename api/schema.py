"""How the resources describe themselves in OpenAPI: one decorator, the two ways to sign in, the words of the list."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.serializers import Serializer

from api.serializers.common import Error

F = TypeVar("F", bound=Callable[..., Any])
ALWAYS = (401, 406, 429, 500, 503)
SIGNED_IN: list[Any] = [{"ApiKey": []}, {"Session": []}]
ANYBODY: list[Any] = [{}, *SIGNED_IN]
MEANINGS = {
    400: "A parameter or the body is not as described.",
    401: "The API key cannot be used, or one is needed and there is none.",
    403: "Known, but not allowed.",
    404: "Unknown symbol (`unknown_symbol`), not collected there (`not_collected`), or nothing stored yet (`no_data`).",
    406: "The answer cannot be had in the media type that was asked for.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    429: "Too many requests; see Retry-After.",
    500: "Something went wrong on the server.",
    503: "The database cannot be reached; see Retry-After.",
}
HEADERS = [
    ("X-Request-ID", str, "The caller's own when it sent a plain one, else a new one."),
    ("X-RateLimit-Limit", int, "Requests allowed a minute."),
    ("X-RateLimit-Remaining", int, "Requests left in the current minute."),
]


def operation(
    summary: str,
    answer: type[Serializer] | Serializer,
    errors: Sequence[int] = (),
    query: type[Serializer] | None = None,
    body: Any = None,
    parameters: Sequence[OpenApiParameter] = (),
    scope: Any = None,
) -> Callable[[F], F]:
    """Describes one method of a resource: its answer, the errors that it may give besides those that all may give,
    its parameters, its body, and the Scope that it needs (None: open to readers)."""
    extra = (403, *errors) if scope else errors
    described = {code: OpenApiResponse(Error, MEANINGS[code]) for code in sorted({*ALWAYS, *extra})}
    text = f"Needs the scope `{scope}`, or a staff session with a CSRF token." if scope else None
    return extend_schema(
        summary=summary,
        description=text,
        parameters=[*([query] if query else []), *parameters, *_headers()],
        request=body,
        responses={200: answer, **described},
        auth=SIGNED_IN if scope else ANYBODY,
    )


def _headers() -> list[OpenApiParameter]:
    return [
        OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=text, response=True)
        for name, kind, text in HEADERS
    ]


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        text = "`Api-Key <key>`; keys are made in the admin or by `manage.py create_api_key`."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": text}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "api.authentication.StaffSession"
    name = "Session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
