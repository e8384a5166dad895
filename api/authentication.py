"""Who asks: a program by its key, or a person by the browser's session."""

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api.keys import InvalidKey, verify
from api.models import ApiKey

SCHEME = "api-key"


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key <key>`. A key that cannot be used is refused even where none is needed."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        try:
            return AnonymousUser(), verify(key.strip(), timezone.now())
        except InvalidKey as error:
            raise AuthenticationFailed(str(error)) from error

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


class StaffSession(SessionAuthentication):
    """The browser's session, with Django's CSRF check on whatever writes."""


def caller(request: Request) -> str:
    """The caller's name for the records: the key's or the user's."""
    if isinstance(request.auth, ApiKey):
        return f"key {request.auth.name}"
    return str(request.user.get_username()) or "nobody"
