"""Candles in the admin: how far each series is collected, what is missing, what its exchange lacks, ranges to fetch."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from candles import services
from candles.models import Hole, RangeRequest, RuleOutcome, SeriesState, StoredAnalysis
from candles.selectors import Gap, gaps, incomplete_days, progress
from candles.timeframes import DAY

LONGEST = timedelta(days=366)
MOST_GAPS = 200


class ReadOnlyAdmin(admin.ModelAdmin):
    """What the platform writes itself: people look at it."""

    list_per_page = 100

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RangeForm(forms.Form):
    """A range of UTC time."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    start = forms.DateTimeField(label="From, UTC", widget=widget)
    end = forms.DateTimeField(label="To, UTC, not included", widget=widget)

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or {}
        if "start" in chosen and "end" in chosen:
            if chosen["start"] >= chosen["end"]:
                self.add_error("end", "must be after the beginning")
            elif chosen["end"] - chosen["start"] > LONGEST:
                self.add_error("start", "a year at most at a time")
        return chosen


@admin.register(SeriesState)
class SeriesStateAdmin(ReadOnlyAdmin):
    list_display = (
        *("symbol", "market_type", "condition", "done", "candles", "first", "last", "history", "error", "gaps_page"),
        "fetch_page",
    )
    list_filter = ("is_realtime", "market_type")
    search_fields = ("symbol",)
    actions = ("fetch_again",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Candle collection", **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("gaps/<int:pk>/", guard(self.gaps), name="candles_gaps"),
            path("fetch/", guard(self.fetch), name="candles_fetch"),
            *super().get_urls(),
        ]

    @admin.display(description="condition", ordering="is_realtime")
    def condition(self, row: SeriesState) -> SafeString:
        tone, text = ("good", "real time") if row.is_realtime else ("careful", "behind")
        return format_html('<span class="{}">{}</span>', tone, text)

    @admin.display(description="done")
    def done(self, row: SeriesState) -> str:
        found = progress(row, datetime.now(UTC))
        # Only what is whole is called 100 %.
        return f"{min(found.percent, 99.9) if found.done < found.total - 2 else 100:.1f}%" if found.total else "–"

    @admin.display(description="candles", ordering="count")
    def candles(self, row: SeriesState) -> str:
        return f"{row.count:,}"

    @admin.display(description="first", ordering="first_open")
    def first(self, row: SeriesState) -> str:
        return _moment(row.first_open)

    @admin.display(description="last", ordering="last_open")
    def last(self, row: SeriesState) -> str:
        return _moment(row.last_open)

    @admin.display(description="history wanted from", ordering="wanted_from")
    def history(self, row: SeriesState) -> str:
        return _moment(row.available_from or row.wanted_from)

    @admin.display(description="last error", ordering="last_error_at")
    def error(self, row: SeriesState) -> str | SafeString:
        if not row.last_error:
            return "–"
        return format_html('<span class="wrong" title="{}">{}</span>', _moment(row.last_error_at), row.last_error[:80])

    @admin.display(description="missing")
    def gaps_page(self, row: SeriesState) -> SafeString:
        return format_html('<a href="{}">Look</a>', reverse("admin:candles_gaps", args=[row.pk]))

    @admin.display(description="range")
    def fetch_page(self, row: SeriesState) -> SafeString:
        return format_html('<a href="{}?ids={}">Fetch again…</a>', reverse("admin:candles_fetch"), row.pk)

    @admin.action(description="Fetch a range of the selected series again…", permissions=["view"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[SeriesState]) -> HttpResponseRedirect:
        ids = ",".join(str(pk) for pk in queryset.values_list("pk", flat=True))
        return HttpResponseRedirect(f"{reverse('admin:candles_fetch')}?{urlencode({'ids': ids})}")

    def gaps(self, request: HttpRequest, pk: int) -> TemplateResponse:
        """What is missing of one series, and what its exchange lacks."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(SeriesState, pk=pk)
        holes = Hole.objects.filter(exchange=row.exchange, market_type=row.market_type, symbol=row.symbol)
        found = _gaps_of(row)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Missing candles of {row}",
            "opts": self.opts,
            "row": row,
            "gaps": found[:MOST_GAPS],
            "more_gaps": max(0, len(found) - MOST_GAPS),
            "holes": holes.order_by("-start")[:MOST_GAPS],
            "fetch": f"{reverse('admin:candles_fetch')}?ids={row.pk}",
        }
        return TemplateResponse(request, "admin/candles/gaps.html", context)

    def fetch(self, request: HttpRequest) -> HttpResponse:
        """Asks for the range (GET), then puts it in line (POST)."""
        if not self._may_fetch(request):
            raise PermissionDenied
        ids = [int(part) for part in request.GET.get("ids", "").split(",") if part.isascii() and part.isdigit()]
        rows = SeriesState.objects.filter(pk__in=ids[:1000])
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        given = request.POST if request.method == "POST" else None
        form = RangeForm(given, initial={"start": now - DAY, "end": now})
        if given is not None and form.is_valid():
            for row in rows:
                services.request_range(
                    row.key, form.cleaned_data["start"], form.cleaned_data["end"], request.user.get_username()
                )
            LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message="Range to be fetched again")
            messages.success(request, f"A range of {len(rows)} series is fetched again from the next minute on.")
            return HttpResponseRedirect(reverse("admin:candles_rangerequest_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Fetch candles again",
            "opts": self.opts,
            "rows": rows,
            "form": form,
        }
        return TemplateResponse(request, "admin/candles/fetch.html", context)

    def _may_fetch(self, request: HttpRequest) -> bool:
        return request.user.has_perm("candles.change_seriesstate")


@admin.register(Hole)
class HoleAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "market_type", "start", "end", "minutes", "checks", "checked_at")
    list_filter = ("market_type",)
    search_fields = ("symbol",)

    @admin.display(description="minutes")
    def minutes(self, row: Hole) -> str:
        return f"{(row.end - row.start) // timedelta(minutes=1):,}"


@admin.register(RangeRequest)
class RangeRequestAdmin(ReadOnlyAdmin):
    list_display = (
        *("symbol", "market_type", "start", "end", "condition", "changed", "requested_by", "requested_at"),
        "finished_at",
    )
    list_filter = ("market_type",)
    search_fields = ("symbol",)

    @admin.display(description="done")
    def condition(self, row: RangeRequest) -> str:
        if row.finished_at:
            return "100%"
        return f"{((row.done_until or row.start) - row.start) / (row.end - row.start) * 100:.0f}%"


@admin.register(StoredAnalysis)
class StoredAnalysisAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "market_type", "timeframe", "closed_at", "trend", "strength", "told", "candles", "lacks")
    list_filter = ("market_type", "timeframe", "trend")
    search_fields = ("symbol",)
    show_full_result_count = False

    @admin.display(description="candle", ordering="timestamp")
    def closed_at(self, row: StoredAnalysis) -> str:
        return _moment(row.timestamp)

    @admin.display(description="signals")
    def told(self, row: StoredAnalysis) -> str:
        return ", ".join(f"{one['type']} {one['title']}" for one in row.signals[-3:]) or "–"

    @admin.display(description="missing, incomplete")
    def lacks(self, row: StoredAnalysis) -> str:
        return f"{row.missing}, {row.incomplete}"


def _percentage(field: str, title: str, factor: float, form: str) -> Callable[[admin.ModelAdmin, RuleOutcome], str]:
    """A column of this field's values, each `factor` times as large and in this form."""

    @admin.display(description=title, ordering=field)
    def shown(self: admin.ModelAdmin, row: RuleOutcome) -> str:
        value: float | None = getattr(row, field)
        return "–" if value is None else f"{value * factor:{form}}%"

    return shown


@admin.register(RuleOutcome)
class RuleOutcomeAdmin(ReadOnlyAdmin):
    list_display = (
        *("symbol", "market_type", "timeframe", "rule", "after", "count", "right", "any_right", "moved", "any_moved"),
        *("stretch", "computed_at"),
    )
    list_filter = ("market_type", "timeframe", "rule", "after")
    search_fields = ("symbol",)

    right = _percentage("hit_rate", "right", 100, ".1f")
    any_right = _percentage("base_rate", "any candle", 100, ".1f")
    moved = _percentage("mean_move", "mean move", 1, "+.3f")
    any_moved = _percentage("base_move", "any candle's", 1, "+.3f")

    @admin.display(description="over", ordering="candles")
    def stretch(self, row: RuleOutcome) -> str:
        lacks = f", {row.missing} missing, {row.incomplete} incomplete" if row.missing + row.incomplete else ""
        return f"{row.candles:,} candles, {row.first:%Y-%m-%d} to {row.last:%Y-%m-%d}{lacks}"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "–"


def _gaps_of(row: SeriesState) -> list[Gap]:
    if row.covered_from is None or row.covered_until is None:
        return []
    start, end = row.covered_from, row.covered_until
    days = incomplete_days(row.key, start, end)
    return [gap for day in days for gap in gaps(row.key, max(start, day), min(end, day + DAY))]
