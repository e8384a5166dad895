"""The registry in the admin: what is listed, what is collected, how its last collection went."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from markets.errors import UnknownSymbol
from markets.models import Symbol
from markets.services import set_collected, set_live

STALE = timedelta(seconds=150)

admin.site.site_header = "Trading Platform admin"
admin.site.site_title = "Trading Platform"
admin.site.index_title = "What is collected, and who may use it"
admin.site.enable_nav_sidebar = False  # the header leads everywhere, and tables need the width


class ConditionFilter(admin.SimpleListFilter):
    title = "condition"
    parameter_name = "condition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", "Late: no book for 150 s"), ("failing", "Failing"), ("partial", "Book does not reach 1%")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> QuerySet[Symbol]:
        late = Q(last_minute__lt=timezone.now() - STALE) | Q(last_minute__isnull=True)
        conditions = {
            "late": Q(collected=True) & late,
            "failing": Q(failures__gt=0),
            "partial": Q(collected=True) & (Q(bid_reach__lt=1) | Q(ask_reach__lt=1)),
        }
        chosen = self.value()
        return queryset.filter(conditions[chosen]) if chosen in conditions else queryset


@admin.register(Symbol)
class SymbolAdmin(admin.ModelAdmin):
    list_display = (
        *(
            "name",
            "market_name",
            "page",
            "is_collected",
            "is_live",
            "minute",
            "bid_coverage",
            "ask_coverage",
            "levels_asked",
        ),
        *("failures", "error", "volume", "status"),
    )
    list_filter = ("market", "collected", "live", ConditionFilter, "status", "quote")
    search_fields = ("name", "base")
    ordering = ("-collected", "-quote_volume", "name")
    list_per_page = 100
    actions = ("switch_on", "switch_off", "live_on", "live_off", "export")
    actions_selection_counter = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Symbols", **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the exchange lists symbols, people choose among them

    def has_delete_permission(self, request: HttpRequest, obj: Symbol | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Symbol | None = None) -> Sequence[str]:
        return [field.name for field in Symbol._meta.fields if field.name != "id"]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        closed = {"show_save": False, "show_save_and_continue": False, "show_close": True}
        return super().change_view(request, object_id, form_url, {**closed, **(extra_context or {})})

    @admin.display(description="market", ordering="market")
    def market_name(self, row: Symbol) -> str:
        return row.market

    @admin.display(description="collected", ordering="collected")
    def is_collected(self, row: Symbol) -> SafeString:
        return _switched(row.collected)

    @admin.display(description="live", ordering="live")
    def is_live(self, row: Symbol) -> SafeString:
        return _switched(row.live)

    @admin.display(description="last minute", ordering="last_minute")
    def minute(self, row: Symbol) -> str | SafeString:
        if row.last_minute is None:
            return "never"
        now = timezone.now()
        tone = "careful" if row.collected and now - row.last_minute > STALE else "good" if row.collected else "quiet"
        ago = _age(now - row.last_minute)
        text = f"{row.last_minute:%Y-%m-%d %H:%M} UTC"
        return format_html('<span class="{}" title="{}">{} ago</span>', tone, text, ago)

    @admin.display(description="BID reach", ordering="bid_reach")
    def bid_coverage(self, row: Symbol) -> str:
        return _reach(row.bid_reach, row.bid_levels)

    @admin.display(description="ASK reach", ordering="ask_reach")
    def ask_coverage(self, row: Symbol) -> str:
        return _reach(row.ask_reach, row.ask_levels)

    @admin.display(description="levels asked", ordering="depth_limit")
    def levels_asked(self, row: Symbol) -> str:
        return f"{row.depth_limit:,}" if row.depth_limit else "–"

    @admin.display(description="last error", ordering="last_error_at")
    def error(self, row: Symbol) -> str | SafeString:
        if not row.last_error:
            return "–"
        when = f"{row.last_error_at:%Y-%m-%d %H:%M:%S} UTC" if row.last_error_at else ""
        tone = "wrong" if row.failures else "quiet"
        return format_html('<span class="{}" title="{}">{}</span>', tone, when, row.last_error[:80])

    @admin.display(description="24 h volume", ordering="quote_volume")
    def volume(self, row: Symbol) -> str:
        return f"{row.quote_volume / 1e6:,.0f}M {row.quote}"

    @admin.display(description="chart")
    def page(self, row: Symbol) -> str | SafeString:
        if not row.collected:
            return "–"
        return format_html('<a href="/charts/?{}">Open</a>', urlencode({"symbol": row.name, "market": row.market}))

    @admin.action(description="Collect the selected symbols", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> TemplateResponse | None:
        return self._switch(request, queryset, True)

    @admin.action(description="Stop collecting the selected symbols", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> TemplateResponse | None:
        return self._switch(request, queryset, False)

    @admin.action(description="Keep the selected order books live", permissions=["change"])
    def live_on(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> None:
        self._set_live(request, queryset, True)

    @admin.action(description="Keep the selected order books live no longer", permissions=["change"])
    def live_off(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> None:
        self._set_live(request, queryset, False)

    def _set_live(self, request: HttpRequest, queryset: QuerySet[Symbol], live: bool) -> None:
        rows = list(queryset)  # before the change, for a filter may be on what changes
        changed = set_live([row.pk for row in rows], live)
        what = "Live order book switched on" if live else "Live order book switched off"
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=what)
        note = "; only collected symbols can be live" if live and not all(row.collected for row in rows) else ""
        messages.success(request, f"{what} for {changed} books{note}.")

    @admin.action(description="Export the selected symbols…", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Symbol]) -> HttpResponseRedirect:
        """To the page where bands, range and form are chosen, with these symbols chosen already."""
        names = queryset.order_by("name").values_list("name", flat=True).distinct()
        return HttpResponseRedirect(f"{reverse('admin_export')}?{urlencode([('symbol', name) for name in names])}")

    def _switch(self, request: HttpRequest, queryset: QuerySet[Symbol], on: bool) -> TemplateResponse | None:
        """First asks, showing what will change; then does it, all or nothing."""
        names = list(dict.fromkeys(queryset.order_by("name").values_list("name", flat=True)))
        if request.POST.get("confirmed") != "yes":
            return self._ask(request, queryset, names, on)
        try:
            changed = set_collected(names, on)
        except UnknownSymbol as error:
            messages.error(request, f"Nothing was changed: {error}.")
            return None
        what = "Collection switched on" if on else "Collection switched off"
        LogEntry.objects.log_actions(request.user.pk, queryset, CHANGE, change_message=what)
        messages.success(request, f"{what} for {len(changed)} symbols; it takes effect with the next minute.")
        return None

    def _ask(self, request: HttpRequest, queryset: QuerySet[Symbol], names: list[str], on: bool) -> TemplateResponse:
        across = request.POST.get("select_across") == "1"  # then the filters of the address say which, not the list
        context = {
            **self.admin_site.each_context(request),
            "title": "Collect these symbols?" if on else "Stop collecting these symbols?",
            "opts": self.opts,
            "names": names,
            "on": on,
            "action": "switch_on" if on else "switch_off",
            "across": across,
            "selected": [str(pk) for pk in queryset.values_list("pk", flat=True)[: 1 if across else None]],
        }
        return TemplateResponse(request, "admin/markets/symbol/confirm_collection.html", context)


def _age(passed: timedelta) -> str:
    """A length of time in the largest unit that keeps it readable."""
    seconds = max(0, int(passed.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _switched(on: bool) -> SafeString:
    """Off is a choice, not a fault: no red cross for it."""
    return format_html('<span class="{}">{}</span>', "good" if on else "quiet", "on" if on else "off")


def _reach(percent: float | None, levels: int | None) -> str:
    """How far the last book was known: percent, or that it was known whole."""
    if levels is None:
        return "–"
    return f"{percent:.2f}%" if percent is not None else "whole"
