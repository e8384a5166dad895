"""The status page: the whole platform at one moment, with its first state inside."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from api.status import platform
from depth.views import readable

MODULES = tuple(f"js/{name}.js" for name in ("format", "frame", "past", "pill", "poll", "preferences", "search"))


@never_cache
@require_safe
@readable
def status(request: HttpRequest) -> HttpResponse:
    """What `GET status` of the API tells, for reading."""
    context = {"state": platform(timezone.now()), "modules": [static(name) for name in MODULES]}
    return render(request, "status.html", context)
