"""The analysts' page of the admin: choose series, see how many rows they are, take them home as a file."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from api.files import KINDS
from api.serializers.fields import BANDS, band_number, band_of
from api.streaming import file_name, streamed
from depth.export import Selection, Stretch, count_rows, stored_books, stretches
from depth.selectors import INTERVALS
from markets.connections import cache_redis
from markets.models import Market, Symbol

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 3600
_TOKEN = re.compile(r"[0-9a-zA-Z-]{8,64}", re.ASCII)
WORDS = {"1m": "Minutes", "1h": "Hours, averages", "1d": "Days, averages"}


def _moment(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, widget=widget)


class ExportForm(forms.Form):
    """What a file shall hold. All of it stands in the address, so a choice can be kept as a bookmark."""

    symbol = forms.MultipleChoiceField(label="Symbols", widget=forms.SelectMultiple(attrs={"size": 12}))
    market = forms.MultipleChoiceField(label="Markets", choices=Market.choices, widget=forms.CheckboxSelectMultiple)
    depth = forms.TypedMultipleChoiceField(
        label="Bands, percent",
        choices=[(str(band_number(band)), f"{band_number(band)}%") for band in BANDS],
        coerce=lambda text: band_of(forms.DecimalField().to_python(text)),
        widget=forms.CheckboxSelectMultiple,
    )
    start = _moment("From, UTC")
    end = _moment("To, UTC, included")
    interval = forms.ChoiceField(choices=[(name, WORDS[name]) for name in INTERVALS])
    format = forms.ChoiceField(choices=[("csv", "CSV"), ("parquet", "Parquet"), ("json", "JSON")])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = Symbol.objects.filter(exchange="binance").exclude(collected=False, last_minute=None)
        names = known.order_by("name").values_list("name", flat=True).distinct()
        self.fields["symbol"].choices = [(name, name) for name in names]

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or {}
        if "start" in chosen and "end" in chosen and chosen["start"] > chosen["end"]:
            self.add_error("start", "must not be after the end")
        return chosen

    def selection(self) -> Selection:
        """Of a form that is valid."""
        chosen = self.cleaned_data
        books = stored_books(chosen["symbol"], chosen["market"])
        return Selection(books, tuple(chosen["depth"]), chosen["start"], chosen["end"], chosen["interval"])


def _first_choice(request: HttpRequest) -> dict[str, Any]:
    """What stands in the form at first: the symbols that were picked in the list, both markets, the last day."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return {
        "symbol": request.GET.getlist("symbol"),
        "market": Market.values,
        "depth": [str(band_number(band)) for band in settings.DEPTH_BANDS],
        "start": now - timedelta(days=1),
        "end": now,
        "interval": "1m",
        "format": "csv",
    }


def page(request: HttpRequest) -> HttpResponse:
    """The form, and below it the number of rows once it was asked for."""
    asked = "interval" in request.GET
    form = ExportForm(request.GET) if asked else ExportForm(initial=_first_choice(request))
    counted = count_rows(form.selection()) if asked and form.is_valid() else None
    context = {**admin.site.each_context(request), "title": "Export", "form": form, "counted": counted}
    return TemplateResponse(request, "admin/export.html", context)


def count(request: HttpRequest) -> JsonResponse:
    """{rows, exact}, or {errors} for a choice that makes no file."""
    form = ExportForm(request.GET)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    counted = count_rows(form.selection())
    return JsonResponse({"rows": counted.rows, "exact": counted.exact})


def download(request: HttpRequest) -> HttpResponse:
    """The file. A `token` names the progress of this download for whoever watches it."""
    form = ExportForm(request.GET)
    if not form.is_valid():
        context = {**admin.site.each_context(request), "title": "Export", "form": form}
        return TemplateResponse(request, "admin/export.html", context, status=400)
    selection, extension = form.selection(), form.cleaned_data["format"]
    found: Iterable[Stretch] = stretches(selection)
    token = request.GET.get("token", "")
    if _TOKEN.fullmatch(token):
        found = _watched(found, _progress_key(request, token))
    kind = KINDS[extension]
    return streamed(request, kind.parts(found), kind.media_type, file_name(selection, extension))


def progress(request: HttpRequest) -> JsonResponse:
    """{rows, done} of a download; 404 while nothing is known of it."""
    token = request.GET.get("token", "")
    known: Any = None
    if _TOKEN.fullmatch(token):
        known = _tell(lambda: cache_redis().hgetall(_progress_key(request, token)))
    if not known:
        return JsonResponse({"rows": 0, "done": False}, status=404)
    return JsonResponse({"rows": int(known.get(b"rows", 0)), "done": b"done" in known})


def _progress_key(request: HttpRequest, token: str) -> str:
    return f"export:{request.user.pk}:{token}"


def _watched(found: Iterable[Stretch], key: str) -> Iterator[Stretch]:
    """The same stretches; how far they are is told to Redis while they are taken."""
    rows = 0
    for stretch in found:
        yield stretch
        rows += len(stretch.points)
        _remember(key, {"rows": rows})
    _remember(key, {"rows": rows, "done": 1})


def _remember(key: str, facts: dict[Any, Any]) -> None:
    def write() -> None:
        with cache_redis().pipeline() as pipe:
            pipe.hset(key, mapping=facts)
            pipe.expire(key, PROGRESS_SECONDS)
            pipe.execute()

    _tell(write)


def _tell(work: Callable[[], Any]) -> Any:
    """Progress is a courtesy: without Redis the file comes all the same."""
    try:
        return work()
    except redis.RedisError as error:
        logger.warning("The progress of an export is not told: %s", error)
        return None


def _guarded(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    return admin.site.admin_view(view)


urlpatterns: list[URLPattern] = [
    path("", _guarded(page), name="admin_export"),
    path("count", _guarded(count), name="admin_export_count"),
    path("file", _guarded(download), name="admin_export_file"),
    path("progress", _guarded(progress), name="admin_export_progress"),
]
