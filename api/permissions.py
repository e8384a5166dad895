"""What may be asked: reading is open unless API_PUBLIC=false, writing needs a key with the scope or a staff session."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

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
