"""What may be asked: reading is open unless API_PUBLIC=false, writing needs a key with the scope or a staff session."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from api.authentication import SCHEME
from api.keys import InvalidKey, verify
from api.models import ApiKey


class ReadAllowed(BasePermission):
    """Safe methods for everybody, or with API_PUBLIC=false for any key and any session; others never."""

    message = "Reading needs an API key or a session here"

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method not in SAFE_METHODS:
            return False
        return settings.API_PUBLIC or isinstance(request.auth, ApiKey) or bool(request.user.is_authenticated)


class ReadOrScope(ReadAllowed):
    """Safe methods as ReadAllowed; others with the scope that the view names in `scope`, or for staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return super().has_permission(request, view)
        scope: str = view.scope
        self.message = f"This needs an API key with the scope {scope}, or a staff session"
        if isinstance(request.auth, ApiKey):
            return scope in request.auth.scopes
        return bool(request.user.is_active and request.user.is_staff)


def may_read(authorization: str, session_key: str) -> bool:
    """ReadAllowed for what comes in without a request of the API, with API_PUBLIC=false: by its header, its cookie."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() == SCHEME:
        try:
            return bool(verify(key.strip(), timezone.now()))
        except InvalidKey:
            return False
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    return bool(get_user(request).is_authenticated)
